# The images of Modelport, one target each: service (ONNX), service-sklearn, init-container, operator.
#
# Third-party packages come from the hash-locked locks/<target>.txt, first-party ones by copying exactly what is needed.
# Both are plain folders on PYTHONPATH, already compiled; no pip and no compiler is added, and any user id can run them.
# SKLEARN is the minor version of scikit-learn in service-sklearn: one of those that have a lock.
# BASE_IMAGE needs Python 3.11 or newer; pip is used in the builder only.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
COPY scripts/image-packages.sh /usr/local/bin/

FROM builder AS service-packages
COPY locks/service.txt lock.txt
RUN --mount=type=cache,target=/root/.cache/pip image-packages.sh lock.txt /packages

FROM builder AS service-sklearn-packages
ARG SKLEARN=1.9
COPY locks/service-sklearn${SKLEARN}.txt lock.txt
RUN --mount=type=cache,target=/root/.cache/pip image-packages.sh lock.txt /packages

FROM builder AS init-container-packages
COPY locks/init-container.txt lock.txt
RUN --mount=type=cache,target=/root/.cache/pip image-packages.sh lock.txt /packages

FROM builder AS operator-packages
COPY locks/operator.txt lock.txt
# The client's asynchronous twin is as large as the client, and nobody imports it.
RUN --mount=type=cache,target=/root/.cache/pip image-packages.sh lock.txt /packages && rm -r /packages/kubernetes/aio

FROM builder AS service-code
COPY artifact/model_artifact /code/model_artifact
COPY service/model_service /code/model_service
RUN image-packages.sh --compile /code

FROM builder AS init-container-code
COPY artifact/model_artifact /code/model_artifact
COPY init-container/model_fetcher /code/model_fetcher
RUN image-packages.sh --compile /code

FROM builder AS operator-code
COPY operator/model_operator /code/model_operator
RUN image-packages.sh --compile /code

# What all images share. PYTHONSAFEPATH keeps the working directory off the import path.
FROM ${BASE_IMAGE} AS runtime
ENV PYTHONPATH=/opt/modelport/code:/opt/modelport/packages PYTHONSAFEPATH=1 PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 HOME=/tmp
WORKDIR /opt/modelport
USER 10001:10001
STOPSIGNAL SIGTERM
LABEL org.opencontainers.image.licenses=Apache-2.0 org.opencontainers.image.vendor=Modelport

FROM runtime AS service-base
ENV MODELPORT_API_HOST=0.0.0.0
EXPOSE 8000
ENTRYPOINT ["python", "-m", "model_service"]

FROM service-base AS service
COPY --from=service-packages /packages packages
COPY --from=service-code /code code
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Modelport service" \
      org.opencontainers.image.description="Serves a verified ONNX model bundle over HTTP" \
      org.opencontainers.image.version=${VERSION} org.opencontainers.image.revision=${REVISION}

FROM service-base AS service-sklearn
COPY --from=service-sklearn-packages /packages packages
COPY --from=service-code /code code
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Modelport service with scikit-learn" \
      org.opencontainers.image.description="Serves a verified ONNX, skops or joblib model bundle over HTTP" \
      org.opencontainers.image.version=${VERSION} org.opencontainers.image.revision=${REVISION}

FROM runtime AS init-container
COPY --from=init-container-packages /packages packages
COPY --from=init-container-code /code code
ENTRYPOINT ["python", "-m", "model_fetcher"]
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Modelport init container" \
      org.opencontainers.image.description="Fetches a model bundle, verifies it and publishes it whole or not at all" \
      org.opencontainers.image.version=${VERSION} org.opencontainers.image.revision=${REVISION}

# helm is the program that scripts/images.sh puts into the build context.
FROM runtime AS operator
COPY --chmod=755 build/helm bin/helm
COPY --from=operator-packages /packages packages
COPY charts/model-service charts/model-service
COPY --from=operator-code /code code
ENV MODELPORT_OPERATOR_HELM=/opt/modelport/bin/helm MODELPORT_OPERATOR_CHART=/opt/modelport/charts/model-service
EXPOSE 8080
ENTRYPOINT ["python", "-m", "model_operator"]
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Modelport operator" \
      org.opencontainers.image.description="Looks after ModelDeployments: renders, applies and rolls out" \
      org.opencontainers.image.version=${VERSION} org.opencontainers.image.revision=${REVISION}
