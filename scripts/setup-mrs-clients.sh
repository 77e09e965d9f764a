#!/usr/bin/env bash
# Makes a Python environment below target/mrs-clients with the clients of Open Telekom Cloud, which need an older openstacksdk than
# others (decision 32). Prints its folder of programs.
set -euo pipefail
cd "$(dirname "$0")/.."
exec scripts/make-venv.sh mrs-clients otcextensions==0.34.8 openstacksdk==4.4.0 python-openstackclient==7.1.2 osc-lib==3.2.0 \
  keystoneauth1==5.18.1 setuptools==80.9.0
