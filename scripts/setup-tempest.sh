#!/usr/bin/env bash
# Makes a Python environment below target/tempest with OpenStack's tempest, its plugin for Sahara and the clients that the
# plugin calls, at fixed versions. Prints its folder of programs.
# The plugin is older than what it builds on: tempest 36 dropped an option that it reads, openstackclient 7 the Nova client
# by which saharaclient finds flavors, osc-lib 4 breaks other commands of saharaclient, and oslo.utils 10 lacks what
# tempest 35 imports. Needs a Python before 3.12, which dropped an assertion that the plugin calls.
set -euo pipefail
cd "$(dirname "$0")/.."
exec scripts/make-venv.sh tempest sahara-tests==0.18.0 tempest==35.0.0 python-saharaclient==4.2.0 \
  python-openstackclient==6.6.1 osc-lib==3.2.0 openstacksdk==4.4.0 python-novaclient==18.13.1 keystoneauth1==5.18.1 \
  requests==2.34.2 oslo.utils==7.4.0 stestr==4.2.1 testtools==2.9.1 python-subunit==1.4.6
