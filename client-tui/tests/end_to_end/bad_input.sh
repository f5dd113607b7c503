# Bad input, story by story: what is said, what the exit code is, and that the rest of the job went on. Sourced by end_to_end.sh.
# shellcheck shell=bash disable=SC2154

# refused CODE WORDS COMMAND...: it ends with CODE and says WORDS in lines of its own name, none of which shows what only its makers
# understand.
refused() {
  local wanted=$1 words=$2
  shift 2
  expect "$wanted" "$@"
  is_said "$words"
}

is_said() {
  says err "$1"
  if grep -qvE '^(tow|towd): ' "$work/err" || grep -qE 'panicked|(Error|Fault|Errno|Os) ?[{(]' "$work/err"; then
    cat "$work/err" >&2
    fail 'its errors are not all lines of its own in words'
  fi
}

# stranger PYTHON: a server on a free port that treats each connection, `line`, as the Python says; sets $stranger to its target.
stranger() {
  local port=$work/port.$RANDOM
  python3 -c '
import socket, sys
door = socket.create_server(("127.0.0.1", 0))
kept = []
print(door.getsockname()[1], flush=True)
while True:
    line, _ = door.accept()
    kept.append(line)
    exec(sys.argv[1])' "$1" >"$port" 2>>"$work/strangers.log" </dev/null &
  servers+=($!)
  until [ -s "$port" ]; do read -rt 0.02 <> <(:) || true; done
  stranger=tow://127.0.0.1:$(cat "$port")/
}

# For root no door is shut: it is nobody who tries those. $person begins the command.
person=(env)
if [ "$(id -u)" = 0 ]; then
  chmod 755 "$work"
  install -m 755 "$tow" "$work/tow-of-nobody"
  mkdir -m 777 "$work/nobody"
  person=(setpriv --reuid 65534 --regid 65534 --clear-groups env HOME="$work/nobody" TOW_STATE_DIR="$work/nobody/state")
  tow_of_person=$work/tow-of-nobody
else
  tow_of_person=$tow
fi

story 'servers that cannot start: no root, a busy port, an address that is none'
refused 1 "--root: $work/missing: no such folder" "$towd" --listen 127.0.0.1:0 --root "$work/missing"
refused 1 'address already in use' "$towd" --listen "${url#tow://}" --root "$work/root"
refused 2 'not an ADDR:PORT' "$towd" --listen nowhere --root "$work/root"
expect 0 "$tow" ls "$url/"

story 'servers that are none: nobody, no host, a web server, rubbish, silence'
refused 3 'connection refused' "$tow" ls tow://127.0.0.1:1/
refused 3 'host not found' "$tow" ls tow://no-such-host.invalid/
stranger 'line.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")'
refused 3 'a web server answers there' "$tow" ls "$stranger"
stranger 'line.sendall(bytes(range(256)) * 64)'
refused 3 'something else than towd answers there' "$tow" ls "$stranger"
stranger 'line.shutdown(2)'
refused 3 'closed the connection' "$tow" ls "$stranger"
stranger 'pass'
refused 3 'no answer within 10 seconds' "$tow" ls "$stranger"

story 'what is not there, and what may not be written'
refused 4 'no such file or folder' "$tow" ls "$url/no such folder"
refused 4 'no such file or folder' "$tow" get "$url/nothing" "$work/nothing"
refused 4 'no such file or folder' "$tow" put "$work/nothing" "$url/"
[ ! -e "$work/nothing" ] || fail 'a file that is not there left something here'
serve --root "$work/root" --read-only
refused 5 'read-only' "$tow" mkdir "tow://$address/refused"
refused 5 'read-only' "$tow" put "$work/file" "tow://$address/refused"
expect 0 "$tow" get "tow://$address/file" "$work/from-read-only"
[ ! -e "$work/root/refused" ] || fail 'a read-only server was written to'

story 'permission denied, on either side, for some of a job and for all of it'
mkdir -p "$work/mixed/closed" "$work/root/closed"
echo open >"$work/mixed/open"; echo shut >"$work/mixed/shut"; echo x >"$work/mixed/closed/x"; echo last >"$work/mixed/zlast"
chmod 000 "$work/mixed/shut" "$work/mixed/closed" "$work/root/closed"
TOW_PAIR=$("$towd" pair 2>>"$work/towd.log")
refused 1 "$work/mixed/shut: permission denied" "${person[@]}" "$tow_of_person" put "$work/mixed" "$url/"
is_said "$work/mixed/closed: permission denied"
[ "$(cat "$work/root/mixed/open" "$work/root/mixed/zlast")" = $'open\nlast' ] || fail 'what may not be read kept its neighbours from being sent'
refused 5 'permission denied' "${person[@]}" "$tow_of_person" get "$url/file" "$work/mixed/closed/file"

story 'pipes, sockets and devices are named and left out'
mkdir "$work/special"; mkfifo "$work/special/pipe"; echo x >"$work/special/file"
python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$work/special/socket"
refused 1 "$work/special/pipe: skipped" "$tow" put "$work/special" "$url/"
is_said "$work/special/socket: skipped"
[ "$(ls "$work/root/special")" = file ] || fail 'more or less than the file was sent'
refused 1 '/dev/null: skipped' "$tow" put /dev/null "$url/"

story 'names that are taken by a folder or by a file'
mkdir -p "$work/taken/name" "$work/root/taken"
echo inside >"$work/taken/name/inside"; echo other >"$work/taken/other"; echo file >"$work/root/taken/name"
refused 1 "$url/taken/name: not a folder" "$tow" put "$work/taken" "$url/" --overwrite always
[ "$(cat "$work/root/taken/name" "$work/root/taken/other")" = $'file\nother' ] || fail 'a folder took the place of a file, or the rest was not sent'
rm -r "$work/root/taken"; mkdir -p "$work/root/taken/other"; echo kept >"$work/root/taken/other/kept"
refused 1 "$url/taken/other: " "$tow" put "$work/taken" "$url/" --overwrite always
[ "$(cat "$work/root/taken/other/kept" "$work/root/taken/name/inside")" = $'kept\ninside' ] || fail 'a file took the place of a folder, or the rest was not sent'

story 'a folder into itself, and a file onto itself'
refused 1 'cannot be put onto or into itself' "$tow" cp "$work/special" "$work/special/inside"
refused 1 'cannot be put onto or into itself' "$tow" mv "$url/special" "$url/special/inside"
refused 1 'cannot be put onto or into itself' "$tow" cp "$work/file" "$work/file" --overwrite always
[ ! -e "$work/special/inside" ] && [ ! -e "$work/root/special/inside" ] && [ -s "$work/file" ] || fail 'something was put into itself'

story 'a disk that is full: what finds room arrives'
small=$work/root/small
mkdir "$small"
if mount -t tmpfs -o size=2m towpath "$small" 2>/dev/null; then
  mounts+=("$small")
  mkdir "$work/fill"
  for name in a b c d; do head -c 900000 /dev/urandom >"$work/fill/$name"; done
  echo fits >"$work/fits"
  serve --root "$work/root" --limit disk_reserve_bytes=0
  refused 1 "tow://$address/small/fill/" "$tow" put "$work/fill" "tow://$address/small/"
  is_said 'no space left at the destination'
  arrived=0
  for name in a b c d; do
    if [ -e "$small/fill/$name" ]; then
      cmp -s "$work/fill/$name" "$small/fill/$name" || fail 'half a file is on the full disk'
      arrived=$((arrived + 1))
    fi
  done
  [ "$arrived" -ge 1 ] && [ "$arrived" -le 2 ] || fail "$arrived files of 900 kB are on a disk of 2 MB"
  expect 0 "$tow" put "$work/fits" "tow://$address/small/"
  [ -z "$(find "$small" -name '.towpath-part-*')" ] || fail 'half a file takes room on the full disk'
else
  echo '  (skipped: only root can mount a small disk)'
fi

story 'files that vanish, grow and shrink while a question is open'
mkdir -p "$work/moving" "$work/root/moving"
for name in grows shrinks stays vanishes; do
  head -c 100000 /dev/urandom >"$work/moving/$name"
  echo old >"$work/root/moving/$name"
done
terminal
keys "'$tow' put '$work/moving' '$url/'; echo ended with \$?" Enter
screen '[o]verwrite'
rm "$work/moving/vanishes"
echo more >>"$work/moving/grows"
truncate -s 1000 "$work/moving/shrinks"
keys O Enter
screen 'ended with 1'
screen 'vanishes: no such file or folder'
# What it had when the copy began, and not less or more.
screen 'grows: grew meanwhile'
head -c 100000 "$work/moving/grows" | cmp -s - "$work/root/moving/grows" || fail 'what grew is not what it was'
for name in shrinks stays; do
  cmp -s "$work/moving/$name" "$work/root/moving/$name" || fail "$name is not as it was when it was sent"
done
[ "$(cat "$work/root/moving/vanishes")" = old ] || fail 'the file whose source vanished was touched'
keys exit Enter
