#!/bin/sh
# Runs a command in the environment of an ordinary machine: PATH, HOME, a UTF-8 LANG, and nothing else. A variable that the machine which
# builds or tests happens to set can then hide no fault.
#   sh scripts/scrubbed.sh [NAME=VALUE...] COMMAND...
#   sh scripts/scrubbed.sh --install COMMAND...    also passes on what fetching packages needs: proxies, certificates, indexes
set -eu

if [ "${1:-}" = --install ]; then
    shift
    for name in http_proxy https_proxy all_proxy no_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY \
            SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE NODE_EXTRA_CA_CERTS \
            PIP_CERT PIP_CLIENT_CERT PIP_CONFIG_FILE PIP_CONSTRAINT PIP_DEFAULT_TIMEOUT PIP_EXTRA_INDEX_URL PIP_FIND_LINKS PIP_INDEX_URL \
            PIP_NO_INDEX PIP_PROXY PIP_QUIET PIP_RETRIES PIP_TRUSTED_HOST PIP_CACHE_DIR XDG_CACHE_HOME XDG_CONFIG_DIRS \
            npm_config_registry npm_config_cafile npm_config_proxy npm_config_https_proxy; do
        eval "value=\${$name-}"
        [ -z "$value" ] || set -- "$name=$value" "$@"
    done
fi
exec env -i PATH="$PATH" HOME="${HOME:-/}" LANG=C.UTF-8 "$@"
