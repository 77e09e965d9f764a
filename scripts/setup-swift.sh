#!/usr/bin/env bash
# Makes a Python environment below target/swift with OpenStack Swift, its client, what asks a Keystone for it, and the clients of
# Keystone and Sahara that its tests use, at fixed versions. Prints its folder of programs.
set -euo pipefail
cd "$(dirname "$0")/.."
exec scripts/make-venv.sh swift swift==2.38.3 pyeclib==1.8.0 eventlet==0.41.3 keystonemiddleware==13.0.1 \
  python-swiftclient==4.11.0 python-keystoneclient==6.0.0 python-saharaclient==4.2.0 keystoneauth1==5.18.1 requests==2.34.2
