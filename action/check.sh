#!/usr/bin/env bash
# Writes the findings as JSON; annotates and summarises them unless they are for somebody else.
set -euo pipefail

mapfile -t paths < <(sed '/^[[:space:]]*$/d' <<<"$PATHS")
mapfile -t args < <(sed '/^[[:space:]]*$/d' <<<"$ARGS")
report="${REPORT:-$RUNNER_TEMP/loopmend-findings.json}"
bin="$RUNNER_TEMP/loopmend/bin"

status=0
"$bin/loopmend" check --output-format json "${args[@]}" -- "${paths[@]}" >"$report" || status=$?
if [ "$status" -gt 1 ]; then
  exit "$status"
fi

count="$("$bin/python" -c 'import json, sys; print(len(json.load(open(sys.argv[1]))))' "$report")"
{
  echo "findings=$count"
  echo "report=$report"
} >>"$GITHUB_OUTPUT"

if [ "$MODE" = report ]; then
  "$bin/loopmend" check --quiet --exit-zero --output-format github "${args[@]}" -- "${paths[@]}"
  "$bin/python" "$GITHUB_ACTION_PATH/action/comment.py" "$report" >>"$GITHUB_STEP_SUMMARY"
fi
if [ "$FAIL_ON_FINDINGS" = true ] && [ "$count" -gt 0 ]; then
  exit 1
fi
