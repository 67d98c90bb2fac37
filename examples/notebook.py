"""A notebook as a script: open it in an editor that knows `# %%` cells, or run it as a program.

From the root of the repository: .venv/bin/python examples/notebook.py
"""

# %% [markdown]
# # From a fitted pipeline to answers over HTTP
# The wine data ships inside scikit-learn: 178 wines, 13 measured columns, 3 growers.

# %%
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import modelport

wine = load_wine(as_frame=True)
train_x, test_x, train_y, test_y = train_test_split(wine.data, wine.target, random_state=0)
estimator = make_pipeline(StandardScaler(), SVC()).fit(train_x, train_y)
print(f"accuracy {estimator.score(test_x, test_y):.3f}")

# %% [markdown]
# ## Pack
# The sample gives names, types and ranges. The summary says which formats were kept, and how near they are.

# %%
folder = tempfile.TemporaryDirectory(prefix="modelport-")
packed = modelport.pack(estimator, train_x, name="wine", destination=folder.name, labels=["north", "middle", "south"])
print(packed)

# %% [markdown]
# ## Serve
# The same command as in a terminal, on a free port. Its log goes to a file beside the model.

# %%
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
with Path(folder.name, "server.log").open("w") as log:
    command = [Path(sys.executable).with_name("modelport"), "serve", str(packed.path), "--port", str(port)]
    server = subprocess.Popen(command, stdout=log, stderr=log)

# %% [markdown]
# ## Ask
# A DataFrame goes in as it is; answers come back in its order.

# %%
try:
    with modelport.Client(f"http://127.0.0.1:{port}") as client:
        print(client.wait_until_ready(timeout=60))
        answers = client.predict_batch(test_x)
        agree = sum(
            answer.prediction == label for answer, label in zip(answers, estimator.predict(test_x), strict=True)
        )
        print(f"{agree} of {len(answers)} answers are the estimator's own")
        print(answers[0])
finally:
    # %% [markdown]
    # ## Stop
    server.send_signal(signal.SIGTERM)
    print(f"server ended with exit code {server.wait(timeout=60)}")
    folder.cleanup()
