#!/usr/bin/env bash
# Changes of the router whose right verdict is known, put to the gate: does it catch what it must, and nothing else?
#
#   benches/gate/probe.sh [exact|wall|all]   makes the branches in a clone that is thrown away, runs gate and bisect there
#                                            (exact: without a clock; default: all) and says what came out
#   benches/gate/probe.sh branches           makes them here: probe/quiet, probe/small, probe/hop, probe/tree
#
# GOLDENPATH is the program [default: target/release/goldenpath], KEEP a folder for its reports. Ends with 0 if everything came
# out as it must, else with 1. The patches apply to the commit that is checked out; tests/gate.rs sees to that.
set -euo pipefail
cd "$(dirname "$0")/../.."

top=$PWD
what=${1:-all}
program=${GOLDENPATH:-${CARGO_TARGET_DIR:-target}/release/goldenpath}
work=$(mktemp -d)
trap 'git -C "$top" worktree prune; rm -rf "$work"' EXIT
wrong=0

# probe/NAME in the repository $1: the commit that is checked out, a quiet commit, the change, two more quiet ones, so that
# there is something to search.
branches() {
  local repository=$1 tree=$work/tree name base
  base=$(git -C "$top" rev-parse HEAD)
  for name in quiet small hop tree; do
    git -C "$repository" worktree add --quiet --force --detach "$tree" "$base"
    (
      cd "$tree"
      quiet "before" "$name"
      git apply --index "$top/benches/gate/probes/$name.patch"
      commit "router: the change of the probe $name"
      quiet "after" "$name"
      quiet "long after" "$name"
    )
    git -C "$repository" branch --quiet --force "probe/$name" "$(git -C "$tree" rev-parse HEAD)"
    git -C "$repository" worktree remove --force "$tree"
  done
  git -C "$repository" for-each-ref --format='%(refname:short) %(objectname:short) %(subject)' 'refs/heads/probe/*'
}

quiet() {
  printf '\n<!-- %s the change of the probe %s -->\n' "$1" "$2" >>CHANGELOG.md
  git add CHANGELOG.md
  commit "changelog: a remark $1 the change"
}

commit() { git -c user.name=probe -c user.email=probe@goldenpath.invalid commit --quiet --no-verify --message "$1"; }

# says WHAT EXPECTED-CODE [WORDS] -- COMMAND...: runs it, and compares its code and what it says.
says() {
  local title=$1 expected=$2 words=$3 code=0 out=$work/out.txt verdict=ok
  shift 3
  "$@" >"$out" 2>&1 || code=$?
  if [ "$code" != "$expected" ]; then verdict="WRONG, expected code $expected"; fi
  if [ -n "$words" ] && ! grep -qF -- "$words" "$out"; then verdict="WRONG, expected: $words"; fi
  if [ "$verdict" != ok ]; then
    wrong=1
    cat "$out"
  fi
  printf '%-58s code %d  %s\n' "$title" "$code" "$verdict"
  if [ -n "${KEEP:-}" ]; then cp "$out" "$KEEP/$(printf '%s' "$title" | tr -c 'a-z0-9\n' '-').txt"; fi
}

gate() { "$program" gate "$@"; }

exact() {
  local run
  gate record >/dev/null && cp benches/gate/exact.json "$work/exact.json"
  git checkout --quiet --force probe/quiet
  says "quiet: its exact tier is the base's, byte for byte" 0 "" recorded_alike
  git checkout --quiet --force "$base"
  says "quiet: exact tier" 0 "" gate --base "$base" --head probe/quiet --only exact
  for run in 1 2 3; do
    says "hop: exact tier, run $run" 3 "route.user_message hops" \
      gate --base "$base" --head probe/hop --only exact
    grep -F ' hops: ' "$work/out.txt" >"$work/hops-$run.txt"
  done
  sed 's/^/    /' "$work/hops-1.txt"
  says "hop: exactly one more per message, the same in every run" 0 "" one_more_each
  says "hop: bisect" 3 "$(git rev-parse probe/hop~2)" \
    gate bisect --good "$base" --bad probe/hop --benchmark "route.user_message hops"
}

recorded_alike() { gate record >/dev/null && cmp benches/gate/exact.json "$work/exact.json"; }

one_more_each() {
  cmp "$work/hops-1.txt" "$work/hops-2.txt" && cmp "$work/hops-1.txt" "$work/hops-3.txt" || return 1
  local name
  for name in route.user_message route.unknown_type route.jsonrpc; do
    grep -qF "$name hops: 2048 instead of 1024, exactly 1 more per unit" "$work/hops-1.txt" || return 1
  done
}

wall() {
  says "small: gate" 0 "" gate --base "$base" --head probe/small --out "$work/small.json"
  says "tree: gate" 3 "route.user_message is slower by more than 5 %" \
    gate --base "$base" --head probe/tree --out "$work/tree.json"
  for name in small tree; do
    "$program" report show "$work/$name.json" --markdown "$work/$name.md" >/dev/null || true
    printf '    %s: %s\n' "$name" "$(grep -F '| route.user\_message |' "$work/$name.md" | tr '\n' ' ')"
    says "$name: its report verifies" 0 "" gate verify "$work/$name.json"
    if [ -n "${KEEP:-}" ]; then cp "$work/$name.json" "$work/$name.md" "$KEEP"; fi
  done
  says "tree: bisect" 3 "$(git rev-parse probe/tree~2)" \
    gate bisect --good "$base" --bad probe/tree --benchmark route.user_message
}

case "$what" in
  branches)
    branches "$top"
    exit
    ;;
  exact | wall | all) ;;
  *)
    echo "expected branches, exact, wall or all, not $what" >&2
    exit 2
    ;;
esac
if [ ! -x "$program" ]; then
  echo "$program is not there: cargo build --release --bin goldenpath, or set GOLDENPATH" >&2
  exit 2
fi
program=$(realpath "$program")
KEEP=${KEEP:+$(mkdir -p "$KEEP" && realpath "$KEEP")}
base=$(git rev-parse HEAD)
git clone --quiet --shared --no-checkout "$top" "$work/clone"
git -C "$work/clone" checkout --quiet --detach "$base"
branches "$work/clone"
cd "$work/clone"
[ "$what" = wall ] || exact
[ "$what" = exact ] || wall
exit "$wrong"
