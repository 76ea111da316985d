#!/usr/bin/env bash
# The token is in the environment, where loopmend takes it from.
set -euo pipefail

mapfile -t args < <(sed '/^[[:space:]]*$/d' <<<"$ARGS")
"$RUNNER_TEMP/loopmend/bin/loopmend" pr --repo "$GITHUB_SERVER_URL/$GITHUB_REPOSITORY" "${args[@]}"
