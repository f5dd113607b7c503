#!/usr/bin/env bash
# The shipped binaries from end to end, on real trees, real sockets and a real terminal (tmux).
#
#     TOW_BIN=target/release/tow TOWD_BIN=target/release/towd client-tui/tests/end_to_end.sh
#
# Prints a line a story; the first that fails ends the run and says what it saw. Needs rsync, tmux, and python3 with
# msgpack and blake3.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
tow=$(realpath "${TOW_BIN:-$here/target/release/tow}")
towd=$(realpath "${TOWD_BIN:-$here/target/release/towd}")
work=$(mktemp -d)
servers=()
mounts=()
socket=$work/tmux

finish() {
  tmux -S "$socket" kill-server 2>/dev/null || true
  # What a server takes away as it leaves (its socket) must not vanish under the walk below.
  for server in "${servers[@]}"; do
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  done
  for mount in "${mounts[@]}"; do umount "$mount" || true; done
  find "$work" -type d ! -perm -u+rwx -exec chmod u+rwx {} +
  rm -rf "$work"
}
trap finish EXIT

export HOME=$work/home TOW_STATE_DIR=$work/state LANG=C.UTF-8
mkdir -p "$HOME"

story() { printf '%s\n' "- $1"; }
fail() { printf 'FAILED: %s\n' "$1" >&2; exit 1; }

# expect CODE COMMAND...: runs it; its output is in $work/out and $work/err.
expect() {
  local wanted=$1 code=0
  shift
  timeout 120 "$@" >"$work/out" 2>"$work/err" </dev/null || code=$?
  [ "$code" = "$wanted" ] || {
    tail -n 20 "$work/out" "$work/err" >&2
    fail "exit $code instead of $wanted: $*"
  }
}

# says FILE WORDS: the last command's out or err holds the words.
says() { grep -qF -- "$2" "$work/$1" || { cat "$work/out" "$work/err" >&2; fail "std$1 does not say \"$2\""; }; }

# serve ARGUMENTS...: starts towd on a free port and sets $address to it, $server to its process, and TOW_PAIR to a code of its.
serve() {
  local line=$work/listening.$RANDOM
  "$towd" --json --listen 127.0.0.1:0 "$@" >"$line" 2>>"$work/towd.log" </dev/null &
  server=$!
  servers+=("$server")
  until [ -s "$line" ]; do
    kill -0 "$server" 2>/dev/null || fail "towd $* ended: $(tail -n 5 "$work/towd.log")"
    read -rt 0.02 <> <(:) || true
  done
  address=$(python3 -c 'import json, sys; print(json.loads(open(sys.argv[1]).readline())["address"])' "$line")
  TOW_PAIR=$("$towd" pair 2>>"$work/towd.log")
  export TOW_PAIR
}

# differences A B: what differs between the trees in content, times, modes, links and names.
differences() { rsync -anci --delete --no-owner --no-group "$1/" "$2/"; }

same() {
  local differences
  differences=$(differences "$1" "$2")
  [ -z "$differences" ] || fail "$1 and $2 differ: $(head -n 5 <<<"$differences")"
}

# keys KEYS...: types into the running tow.
keys() { tmux -S "$socket" send-keys -t tow "$@"; }

# screen TEXT: waits until the screen shows it.
screen() {
  local deadline=$((SECONDS + 60))
  until tmux -S "$socket" capture-pane -pt tow | grep -qF -- "$1"; do
    [ $SECONDS -lt $deadline ] || { tmux -S "$socket" capture-pane -pt tow >&2; fail "the screen never showed \"$1\""; }
    read -rt 0.05 <> <(:) || true
  done
}

# terminal: a shell in a terminal of 120 x 40 in $work/panes, for keys and screen.
terminal() {
  mkdir -p "$work/panes"
  tmux -S "$socket" -f /dev/null new-session -d -s tow -x 120 -y 40 -c "$work/panes" \
    -e "HOME=$HOME" -e "TOW_STATE_DIR=$TOW_STATE_DIR" "PS1='ready> ' bash --norc --noprofile -i"
  screen 'ready>'
}

# until_file FILE: waits until it exists.
until_file() {
  local deadline=$((SECONDS + 60))
  until [ -e "$1" ]; do
    [ $SECONDS -lt $deadline ] || { tmux -S "$socket" capture-pane -pt tow >&2; fail "$1 never came"; }
    read -rt 0.05 <> <(:) || true
  done
}

# until_same A B: waits until the second has become like the first.
until_same() {
  local deadline=$((SECONDS + 120))
  until [ -d "$2" ] && [ -z "$(differences "$1" "$2" 2>/dev/null)" ]; do
    [ $SECONDS -lt $deadline ] || { tmux -S "$socket" capture-pane -pt tow >&2; same "$1" "$2"; }
    read -rt 0.5 <> <(:) || true
  done
}

mkdir "$work/root"
serve --root "$work/root"
main=$server
url=tow://$address

story 'a real tree goes up and comes down unchanged'
# Some of these are missing on every machine, which find calls a failure.
tree=$(find "${CARGO_HOME:-/nonexistent}/registry/src" ~root/.cargo/registry/src /usr/local/cargo/registry/src /usr/share -maxdepth 0 2>/dev/null | head -n 1 || true)
mkdir "$work/tree"
# Hard links become files of their own and special files are left out: both documented.
# What this user may not read (23) is not part of it.
rsync -rlpt --no-specials --no-devices --max-size=20m "$tree/" "$work/tree/" 2>/dev/null || [ $? = 23 ]
expect 0 "$tow" put "$work/tree" "$url/" --json
says out '"verified":true'
same "$work/tree" "$work/root/tree"
expect 0 "$tow" get "$url/tree" "$work/back" --json
same "$work/tree" "$work/back"
expect 0 "$tow" put "$work/tree" "$url/" --json
says out '"bytes":0'
printf '  (%s files, %s)\n' "$(find "$work/tree" -type f | wc -l)" "$(du -sh "$work/tree" | cut -f1)"

story 'names that are hard on terminals and parsers'
mkdir "$work/names"
python3 - "$work/names" <<'PYTHON'
import os, sys
os.chdir(os.fsencode(sys.argv[1]))
names = [b"new\nline", b"tab\there", b"\x1b[31mred", "\U0001f6a2 ship".encode(), "漢字".encode(), "e\u0301".encode(), "\u202etxt.exe".encode(),
         b"-rf", b"trailing ", b"dot.", b"x" * 255, b"\xff\xfe", b"  ", b"a'b\"c`$(x)", b"...", b"con:", b"*?[]", b"~", b"%41", b"\\n"]
for name in names:
    with open(name, "wb") as file:
        file.write(name)
    os.utime(name, ns=(1_000_000_007, 1_600_000_000_123_456_789))
os.mkdir(b"folder \xf0")
os.symlink(b"/nowhere \xff", b"dangling")
os.symlink(b"../names", b"upwards")
PYTHON
expect 0 "$tow" put "$work/names" "$url/"
same "$work/names" "$work/root/names"
expect 0 "$tow" get "$url/names" "$work/names-back"
same "$work/names" "$work/names-back"
expect 0 "$tow" ls "$url/names"
if grep -q $'\x1b' "$work/out"; then fail 'an escape sequence reached the terminal'; fi

story 'files of every size around the bounds'
mkdir "$work/sizes"
for size in 0 1 65535 65536 65537 1048575 1048576 1048577 4194304 4194305 100000000; do
  head -c "$size" /dev/urandom >"$work/sizes/$size"
done
expect 0 "$tow" put "$work/sizes" "$url/"
same "$work/sizes" "$work/root/sizes"
expect 0 "$tow" get "$url/sizes" "$work/sizes-back"
same "$work/sizes" "$work/sizes-back"

story 'within one side, and between local folders'
expect 0 "$tow" cp "$url/sizes" "$url/copy"
same "$work/sizes" "$work/root/copy"
expect 0 "$tow" mv "$url/copy" "$url/moved"
same "$work/sizes" "$work/root/moved"
[ ! -e "$work/root/copy" ] || fail 'a move left its source'
expect 0 "$tow" mv "$url/moved" "$work/moved"
same "$work/sizes" "$work/moved"
[ ! -e "$work/root/moved" ] || fail 'a move between machines left its source'
expect 0 "$tow" cp "$work/moved" "$work/local"
same "$work/moved" "$work/local"

story 'list, measure, make, remove'
expect 0 "$tow" mkdir "$url/new"
expect 0 "$tow" ls --json "$url/sizes"
says out '"name":"65537"'
expect 0 "$tow" size --json "$url/sizes/65537"
says out '{"bytes":65537,"megabytes":0.065537,"path":"'
expect 0 "$tow" rm --yes "$url/new"
[ ! -e "$work/root/new" ] || fail 'rm left the folder'
code=0; "$tow" rm --yes "$url/sizes" >"$work/out" 2>"$work/err" </dev/null || code=$?
[ "$code" != 0 ] && [ -e "$work/root/sizes/1" ] || fail 'rm without -r removed a folder that is not empty'
expect 0 "$tow" rm -r --yes "$url/sizes"
[ ! -e "$work/root/sizes" ] || fail 'rm -r left the folder'

story 'a file in the way stays unless told otherwise; what makes no sense is refused'
echo old >"$work/root/file"; echo newer >"$work/file"
expect 1 "$tow" put "$work/file" "$url/file"
[ "$(cat "$work/root/file")" = old ] || fail 'a conflict overwrote without being told to'
expect 0 "$tow" put --overwrite always "$work/file" "$url/file"
[ "$(cat "$work/root/file")" = newer ] || fail '--overwrite always did not'
expect 2 "$tow" ls --no-such-flag
expect 2 "$tow" get one
expect 2 "$tow" ls tow://

. "$here/client-tui/tests/end_to_end/bad_input.sh"

story 'who is not paired stays outside'
stranger=(env -u TOW_PAIR TOW_STATE_DIR="$work/stranger" "$tow")
expect 3 "${stranger[@]}" ls "$url/"
says err 'not paired'
expect 0 env TOW_STATE_DIR="$work/stranger" TOW_PAIR="$("$towd" pair 2>/dev/null)" "$tow" ls "$url/"
expect 0 "${stranger[@]}" ls "$url/"
expect 0 "$towd" clients
says out 'SHA256:'
expect 0 "$towd" clients remove "$(tail -n 1 "$work/out" | awk '{print $1}')"
expect 3 "${stranger[@]}" ls "$url/"

story 'a unix socket'
"$towd" --unix "$work/towd.sock" --root "$work/root" >/dev/null 2>>"$work/towd.log" </dev/null &
servers+=($!)
until_file "$work/towd.sock"
expect 0 "$tow" ls "unix:$work/towd.sock?path=names"

story 'a client in another language, written from PROTOCOL.md alone'
expect 0 python3 "$here/server/tests/speaker.py" "unix:$work/towd.sock"
says out 'all as PROTOCOL.md says'

story 'the seven words'
mkdir "$work/words"
echo uploaded >"$work/words/up.txt"
printf '%s\n' connme ls 'upload up.txt' 'size up.txt' 'download names/dot.' 'rm up.txt' byebye >"$work/words.in"
code=0
(cd "$work/words" && timeout 60 "$tow" shell --yes --connect "$url/" <"$work/words.in" >"$work/out" 2>"$work/err") || code=$?
[ "$code" = 0 ] || { cat "$work/out" "$work/err" >&2; fail "tow shell ended with $code"; }
[ -e "$work/words/dot." ] && [ ! -e "$work/root/up.txt" ] || fail 'the words did not do what they say'

story 'two panes in a terminal: connect, copy up, copy down, delete, quit'
mkdir -p "$work/panes" "$work/root/panes"
echo up >"$work/panes/a-up.txt"; echo down >"$work/root/panes/b-down.txt"
terminal
keys "$tow --connect $url/panes" Enter
screen b-down.txt
screen a-up.txt
keys j F5
screen '▸ Copy'
keys Enter
until_file "$work/root/panes/a-up.txt"
keys Tab
keys G F5
screen '▸ Copy'
keys Enter
until_file "$work/panes/b-down.txt"
keys F8
screen '╭ Delete'
keys y
deadline=$((SECONDS + 60))
while [ -e "$work/root/panes/b-down.txt" ]; do [ $SECONDS -lt $deadline ] || fail 'F8 did not delete'; done
keys C-z
screen 'Stopped'
keys fg Enter
screen a-up.txt
keys q
screen 'ready>'

story 'the real tree goes up and comes down with F5'
mkdir "$work/f5" "$work/root/f5"
mv "$work/back" "$work/f5/whole"
keys "clear; cd '$work/f5'; '$tow' --connect $url/f5" Enter
screen whole
keys j F5
screen '▸ Copy'
keys Enter
until_same "$work/tree" "$work/root/f5/whole"
rm -rf "$work/f5/whole"
keys Tab
keys G F5
screen '▸ Copy'
keys Enter
until_same "$work/tree" "$work/f5/whole"
keys q
screen 'ready>'

story 'the server leaves in order'
kill -TERM "$main"
code=0; wait "$main" || code=$?
[ "$code" = 0 ] || fail "towd ended with $code after SIGTERM"
left=$(find "$work/root" -name '.towpath-part-*')
[ -z "$left" ] || fail "half files are left: $left"
echo 'end to end: all stories told'
