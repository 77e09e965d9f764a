#!/usr/bin/env bash
# Makes a Python environment below target/s3 with an S3 server of other people (moto) and their client (boto3), at fixed
# versions. Prints its folder of programs.
set -euo pipefail
cd "$(dirname "$0")/.."
exec scripts/make-venv.sh s3 "moto[s3]==5.2.5" boto3==1.44.8 Flask==3.1.3 flask-cors==6.0.5
