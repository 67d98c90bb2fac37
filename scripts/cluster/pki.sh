#!/usr/bin/env bash
# Makes a native cluster's certificates and kubeconfigs: one throw-away CA, one certificate a component.
#
#   pki.sh
#
# Owns $STATE/pki (readable by root only). Nothing is made twice; `make cluster-down` removes all of it.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
case ${1:-} in -h|--help) usage "$0"; exit ;; esac
umask 077
mkdir -p "$STATE/pki"; cd "$STATE/pki"
[ ! -e complete ] || exit 0

key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key" 2>/dev/null; }
cert() { # file, user (CN), group (O), names
  key "$1"
  printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' "$4" > "$1.ext"
  openssl req -new -key "$1.key" -out "$1.csr" -subj "/O=$3/CN=$2" 2>/dev/null
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 365 -out "$1.crt" -extfile "$1.ext" 2>/dev/null
  rm -f "$1.csr" "$1.ext"
}
kubeconfig() { # user; certificates inside, so that the file can be copied anywhere
  cat > "$1.kubeconfig" <<K
apiVersion: v1
kind: Config
clusters: [{name: modelport, cluster: {certificate-authority-data: $(base64 -w0 ca.crt), server: "https://$NODE_IP:6443"}}]
users: [{name: $1, user: {client-certificate-data: $(base64 -w0 "$1.crt"), client-key-data: $(base64 -w0 "$1.key")}}]
contexts: [{name: modelport, context: {cluster: modelport, user: $1}}]
current-context: modelport
K
}

key ca
openssl req -x509 -new -key ca.key -days 365 -out ca.crt -subj /CN=modelport-cluster 2>/dev/null
cert apiserver kube-apiserver kubernetes "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,DNS:localhost,IP:127.0.0.1,IP:$KUBERNETES_IP,IP:$NODE_IP"
cert etcd etcd etcd DNS:localhost,IP:127.0.0.1
cert kubelet "system:node:$NODE_NAME" system:nodes "DNS:$NODE_NAME,IP:127.0.0.1,IP:$NODE_IP"
cert admin kubernetes-admin system:masters DNS:admin
cert controller-manager system:kube-controller-manager system:kube-controller-manager DNS:controller-manager
cert scheduler system:kube-scheduler system:kube-scheduler DNS:scheduler
cert proxy system:kube-proxy system:node-proxier DNS:proxy
cert front front-proxy-client front-proxy DNS:front-proxy
key sa; openssl ec -in sa.key -pubout -out sa.pub 2>/dev/null
for user in admin controller-manager scheduler kubelet proxy; do kubeconfig "$user"; done
: > complete
