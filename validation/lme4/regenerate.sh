#!/bin/sh
# Make all pinned outputs again: the data, then what R's packages say of them.
set -eu
cd "$(dirname "$0")"
python simulate.py
for script in fit profile hard forms correlations; do
    Rscript "$script.R" pinned
done
