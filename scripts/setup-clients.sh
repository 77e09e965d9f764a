#!/usr/bin/env bash
# Makes a Python environment below target/clients with the clients of OpenStack and Huawei that the tests use, at fixed versions.
# Prints its folder of programs.
set -euo pipefail
cd "$(dirname "$0")/.."
exec scripts/make-venv.sh clients python-saharaclient==4.2.0 python-openstackclient==7.1.2 osc-lib==3.2.0 \
  keystoneauth1==5.18.1 requests==2.34.2 huaweicloudsdkcore==3.1.219 huaweicloudsdkmrs==3.1.219
