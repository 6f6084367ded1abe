#!/bin/sh
# Install the Debian packages whose programs are missing. Arguments: PROGRAM:PACKAGE, or PACKAGE.
# Without root or apt-get it says what is missing and goes on: the tests that need it skip.
missing=
for pair in "$@"; do
  command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair##*:}"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
  echo "not installed:$missing (install them to run every test)" >&2
fi
