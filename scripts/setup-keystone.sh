#!/usr/bin/env bash
# setup-keystone.sh [DIR]: a real Keystone for tests. Without DIR: makes a Python environment below target/keystone with
# Keystone, a web server and the clients that its tests use, at fixed versions, and prints its folder of programs; it is made
# again when the list changes. With DIR as well: makes a new Keystone in that folder, with a SQLite database, Fernet keys and
# the user `admin` (password in DIR/admin-password). Nothing outside of the two folders is touched.
set -euo pipefail
wanted=${1:-}
[ -z "$wanted" ] || { mkdir -p "$wanted"; wanted=$(cd "$wanted" && pwd); }
cd "$(dirname "$0")/.."
programs=$(scripts/make-venv.sh keystone keystone==30.0.0 waitress==3.0.2 python-keystoneclient==6.0.0 \
  python-saharaclient==4.2.0 keystoneauth1==5.18.1 requests==2.34.2)

if [ -n "$wanted" ]; then
  if [ -e "$wanted/keystone.conf" ]; then
    echo "setup-keystone: there is a Keystone in $wanted already" >&2
    exit 1
  fi
  umask 077
  mkdir "$wanted/fernet" "$wanted/credential"
  # Without this the hash of a password takes longer than the rest of a log-in: these are only tests.
  cat >"$wanted/keystone.conf" <<END
[DEFAULT]
log_file = $wanted/keystone.log
[database]
connection = sqlite:///$wanted/keystone.db
[identity]
password_hash_algorithm = bcrypt
password_hash_rounds = 4
[token]
provider = fernet
# Revoked tokens are to be refused at once by Keystone itself.
caching = false
[cache]
enabled = false
[fernet_tokens]
key_repository = $wanted/fernet
max_active_keys = 3
[credential]
key_repository = $wanted/credential
END
  python3 -c 'import secrets; print(secrets.token_urlsafe(18))' >"$wanted/admin-password"
  manage() { "$programs/keystone-manage" --config-file "$wanted/keystone.conf" "$@" >>"$wanted/setup.log" 2>&1; }
  who="--keystone-user $(id -un) --keystone-group $(id -gn)"
  {
    manage db_sync
    # shellcheck disable=SC2086 # a list of words
    manage fernet_setup $who
    # shellcheck disable=SC2086
    manage credential_setup $who
    # The endpoint is not looked up: its clients are told the address.
    OS_BOOTSTRAP_PASSWORD=$(cat "$wanted/admin-password") manage bootstrap --bootstrap-username admin \
      --bootstrap-project-name admin --bootstrap-role-name admin --bootstrap-region-id RegionOne \
      --bootstrap-service-name keystone --bootstrap-public-url http://127.0.0.1:5000/v3
  } || { tail -n 30 "$wanted/setup.log" >&2; exit 1; }
fi
echo "$programs"
