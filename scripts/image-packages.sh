#!/bin/sh
# Runs inside `docker build`: turns a hash-locked requirements file into a folder for PYTHONPATH.
#
#   image-packages.sh LOCK FOLDER       install, leave out what only developers use, compile
#   image-packages.sh --compile FOLDER  only make FOLDER readable for every user, and compile it
set -eu
lock=$1
folder=${2:?the folder}

if [ "$lock" != --compile ]; then
  python -m pip install --quiet --require-hashes --no-deps --only-binary :all: --no-compile --target "$folder" -r "$lock"
  # Test suites, stubs and sources of compiled modules: no program imports them.
  find "$folder" -depth -type d -name tests -exec rm -rf {} +
  find "$folder" -type f \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.a' -o -name '*.h' -o -name '*.hpp' \) -delete
  rm -rf "${folder:?}/bin"
fi
chmod -R a+rX "$folder"
# Images are read-only where they run: a .pyc that is never checked against its source starts fastest.
python -m compileall -q -j 0 --invalidation-mode unchecked-hash "$folder"
