t=$1 g=$2
shift 2
exec 3<&0 4>&2 </dev/null 2>/dev/null
say() { printf '\n%s %s\n' "$t" "$1" >&4; }
kill -s 0 -- "-$$" || { say alone; exit 0; }
case $1 in
*/*) [ -f "$1" ] && [ -x "$1" ] ;;
*) command -v "$1" >/dev/null ;;
esac || { say missing; exit 0; }
trap : TERM
( sleep 10 3<&- 4>&-; kill -s KILL -- "-$$" ) >/dev/null & w=$!
say ready
IFS=' ' read -r go l <&3
[ "$go" = go ] || { kill -s KILL "$w"; exit 0; }
kill -s KILL "$w"
relay() { trap '' HUP PIPE TERM; cat; cat >/dev/null; }
end() {
  trap '' HUP PIPE TERM
  kill -s TERM -- "-$$"
  sleep "$g" 3<&- 4>&-
  say killed
  kill -s KILL -- "-$$"
}
{ {
  e=
  trap e=1 TERM
  ( exec "$@" 2>&6 3<&- 4>&- 5>&- 6>&- ) & c=$!
  ( trap '' TERM; IFS= read -r word <&3; [ "$word" != end ] || end ) >/dev/null 5>&- 6>&- & r=$!
  ( sleep "$l" 3<&- 4>&- & s=$!
    trap 'kill -s KILL "$s"; exit 0' HUP
    wait "$s"
    end ) >/dev/null 5>&- 6>&- & w=$!
  while wait "$c"; s=$?; kill -s 0 "$c"; do :; done
  if [ -n "$e" ]; then
    trap '' HUP PIPE TERM
    sleep 1 3<&- 4>&-
    say "ended $s"
    kill -s KILL -- "-$$"
  fi
  kill -s HUP "$w"
  kill -s KILL "$r"
  say "exit $s"
} 6>&1 >&5 5>&- | relay >&4 3<&- 4>&- 5>&-; } 5>&1 | relay 3<&- 4>&-
