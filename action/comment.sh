#!/usr/bin/env bash
# One comment on a pull request, kept up to date. The report may come out of a fork: nothing in it is trusted,
# and the pull request is found by what GitHub says of the run, not by what the run says of itself.
set -euo pipefail

here="repos/$GITHUB_REPOSITORY"
if [ -z "$PULL_REQUEST" ] && [[ "$HEAD_SHA" =~ ^[0-9a-f]{40}$ ]]; then
  # An event of a fork names no pull request.
  PULL_REQUEST="$(gh api --method GET "$here/pulls" -f state=open -f head="$HEAD_OWNER:$HEAD_BRANCH" \
    --jq ".[] | select(.head.sha == \"$HEAD_SHA\") | .number" | sed -n 1p)"
  if [ -z "$PULL_REQUEST" ]; then
    echo "::notice::the pull request of this commit is closed, or has gone on"
    exit 0
  fi
fi
if ! [[ "$PULL_REQUEST" =~ ^[0-9]+$ ]]; then
  echo "::error::there is no pull request to comment on"
  exit 1
fi

work="$(mktemp -d "$RUNNER_TEMP/loopmend-comment.XXXXXX")"
gh api --paginate "$here/pulls/$PULL_REQUEST/files" --jq '.[].filename' >"$work/changed"
"$RUNNER_TEMP/loopmend/bin/python" "$GITHUB_ACTION_PATH/action/comment.py" "$REPORT" --only "$work/changed" >"$work/body"

mine="$(gh api --paginate "$here/issues/$PULL_REQUEST/comments" --jq \
  '.[] | select(.user.type == "Bot" and (.body | startswith("<!-- loopmend:findings -->"))) | .id' | sed -n 1p)"
if [ -n "$mine" ]; then
  gh api --method PATCH "$here/issues/comments/$mine" -F body=@"$work/body" --silent
elif ! grep -q '^No findings' "$work/body"; then
  gh api --method POST "$here/issues/$PULL_REQUEST/comments" -F body=@"$work/body" --silent
fi
