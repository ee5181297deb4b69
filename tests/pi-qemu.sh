#!/usr/bin/env bash
# Runs the aarch64 binary on an emulated Raspberry Pi with a NOR flash chip on SPI0 CE0: real kernel drivers, a real dump.
# Both drivers of `spi:` identify, back up, open, write and verify a bare chip; with CEN at GPIO22, which has no effect on
# that chip, the bus log has to show the entry sequence and the program has to refuse to write.
#
#   tests/pi-qemu.sh
#
# The rig is the folder in BKBENCH_RIG, or rigs/pi-qemu of the sample folder (BKBENCH_SAMPLES, else ../shared). Without it,
# or where its packages cannot be installed, this says so and passes. BKBENCH_PI_BINARY names an aarch64 binary that was
# built already, BKBENCH_PI_ARMHF_BINARY an armhf one. About eight minutes with warm builds.
#
# Where an armhf binary can be built, it has to identify the same chip there too, as on a 32-bit Raspberry Pi OS.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
samples=${BKBENCH_SAMPLES:-$root/../shared}
rig=${BKBENCH_RIG:-$samples/rigs/pi-qemu}
dump=$samples/dumps/ds-101jl-4gang-switch-t.bin
image=$samples/firmware/OpenBK7231T_QIO_1.18.300.bin
build_limit=1800 run_limit=480

skip() {
	echo "SKIPPED: no test on the emulated Pi: $*"
	echo "0 passed, 0 failed"
	exit 0
}

[ -x "$rig/run.sh" ] || skip "there is no rig in $rig; set BKBENCH_RIG"
[ -f "$dump" ] && [ -f "$image" ] || skip "the samples are not in $samples; set BKBENCH_SAMPLES"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

timeout 300 "$rig/run.sh" --setup >"$work/setup" 2>&1 || { tail -3 "$work/setup"; skip "the rig cannot be set up here"; }

binary=${BKBENCH_PI_BINARY:-}
if [ -z "$binary" ]; then
	echo "== aarch64 build"
	built=0
	# Flags of the host's own compiler are not for this one.
	env -u RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS -u CARGO_BUILD_TARGET CARGO_TARGET_DIR="$root/target/pi-qemu" \
		timeout "$build_limit" "$rig/cross-build.sh" "$root" --locked --bin bkbench >"$work/build" 2>&1 || built=$?
	tail -3 "$work/build"
	if [ $built != 0 ]; then
		{ [ -x /usr/bin/cargo ] && command -v aarch64-linux-gnu-gcc >/dev/null; } || skip "no cross compiler can be installed"
		! grep -q "requires rustc" "$work/build" || skip "the system's compiler is too old for this package"
		[ $built != 124 ] || skip "the build took longer than $build_limit s"
		grep -A8 '^error' "$work/build" | head -40
		echo "FAIL  the aarch64 build"
		echo "0 passed, 1 failed"
		exit 1
	fi
	binary=$root/target/pi-qemu/aarch64-unknown-linux-gnu/debug/bkbench
fi

arm=${BKBENCH_PI_ARMHF_BINARY:-} no_arm='' arm_fails=0
if [ -z "$arm" ]; then
	echo "== armhf build"
	built=0
	arm=$(timeout "$build_limit" "$root/tests/armhf-build.sh" "$rig" "${PI_QEMU_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/pi-qemu}" \
		2>"$work/build-arm") || built=$?
	tail -3 "$work/build-arm"
	case $built in
	0) ;;
	3 | 124) no_arm=${arm:-it took longer than $build_limit s} ;;
	*)
		grep -A8 '^error' "$work/build-arm" | head -40
		no_arm="it does not build" arm_fails=1
		;;
	esac
fi

# A tool that is not ours sets the protection that ours has to lift.
"$rig/run.sh" --fetch arm64 "$work/debs" spi-tools >/dev/null 2>&1 && dpkg -x "$work"/debs/spi-tools_*.deb "$work/tools" ||
	skip "the package spi-tools cannot be fetched"

# What both programs in the guest begin with.
cat >"$work/common.sh" <<'G'
export BKBENCH_DATA_DIR=/tmp/data BKBENCH_CONFIG_DIR=/tmp/config TERM=dumb
b=/work/bkbench
# check NAME EXPECTED-CODE PATTERN... -- ARGS: runs the program; every pattern has to be in what it prints.
check() {
	name=$1 want=$2
	shift 2
	: >/tmp/patterns
	while [ "$1" != -- ]; do echo "$1" >>/tmp/patterns; shift; done
	shift
	code=0
	"$b" "$@" >/tmp/text 2>&1 || code=$?
	verdict=ok
	[ $code = "$want" ] || verdict=FAIL
	while read -r pattern; do grep -qF -- "$pattern" /tmp/text || { verdict=FAIL; echo "      not printed: $pattern"; }; done </tmp/patterns
	printf '%-5s %s (exit code %s)\n' $verdict "$name" $code
	[ $verdict = ok ] || tail -n 12 /tmp/text | cut -c1-300
}
G

cat >"$work/job.sh" <<'G'
#!/bin/busybox sh
# The whole job over one driver, on a bare chip.
driver=$1
. /work/common.sh
# The kernel gives a message twice its time at this clock, and 0.2 s: a slow clock leaves a busy computer some room.
link="spi:0.0?cen=none&driver=$driver&clock=250000"
raw() { printf "$1" | /work/spi-pipe -d /dev/spidev0.0 -s 1000000 -b "$2" -n 1 >/dev/null; }
raw '\006' 1
raw '\001\030' 2
check "$driver: the chip is identified, and not as more than likely" 0 "BK7231T likely" "EF 40 15  W25Q16  2 MiB" \
	"the whole chip is protected" "a bare flash chip answers" "not more than likely" -- --link "$link" info
# Another user of this computer has a runtime folder of their own: the lock is on the node.
XDG_RUNTIME_DIR=/tmp/one "$b" --link "$link" read -o /tmp/first.bin >/tmp/first 2>&1 &
sleep 6
export XDG_RUNTIME_DIR=/tmp/two
check "$driver: a second user of the bus is refused by name" 6 "E212" "bkbench in process" -- --link "$link" info
wait
unset XDG_RUNTIME_DIR
check "$driver: the backup is proven" 0 "proven: two independent passes agree" -- --link "$link" read -o /tmp/backup.bin
check "$driver: the protection is lifted" 0 "after:  nothing is protected" -- --link "$link" protect off
check "$driver: OpenBeken is written and verified" 0 -- --link "$link" write /work/image.bin --yes --no-protect-after
tail -n 6 /tmp/text | cut -c1-200
check "$driver: the image is there" 0 "holds exactly" -- --link "$link" verify /work/image.bin
echo "end of $driver"
G

cat >"$work/entry.sh" <<'G'
#!/bin/busybox sh
# CEN at GPIO22: the entry, the refusals, and who lets CEN go.
. /work/common.sh
rppal="spi:0.0?cen=22&driver=rppal&clock=250000"
linux="spi:0.0?cen=pin15&driver=linux&clock=250000"
said="CEN has no effect on the chip: its id is still read while GPIO22 (pin 15) → CEN is held low"
check "rppal: the check says that CEN has no effect" 0 "$said" "BK7231T unsure" -- --link "$rppal" info
check "rppal: a write is refused" 4 "$said" "E337" -- --link "$rppal" write /work/image.bin --yes
check "linux: the check says so too, and a write is refused" 4 "$said" "E337" -- --link "$linux" write /work/image.bin --yes
check "linux: so is an erase" 4 "$said" "E337" -- --link "$linux" erase --start 0x1F0000 --length 4K --yes
check "linux: a line that is not there is named" 2 "E214" -- --link "spi:0.0?cen=CON1-15&driver=linux" info
check "linux: a line that another driver holds is refused" 6 "E215" -- --link "spi:0.0?cen=8&driver=linux" info
# Nothing is at CE1, so the sweep goes on for a while, most of it with CEN low.
for driver in rppal linux; do
	for signal in TERM HUP INT; do
		code=0
		timeout -s $signal 3 "$b" --link "spi:0.1?cen=22&driver=$driver" info >/tmp/text 2>&1 || code=$?
		verdict=FAIL
		[ $code != 130 ] || verdict=ok
		echo "$verdict    $driver: SIG$signal ends an entry (exit code $code)"
		# A frame as a mark in the bus log: CEN has to be high here.
		printf '\237\000\000\000\125' | /work/spi-pipe -d /dev/spidev0.0 -s 1000000 -b 5 -n 1 >/dev/null
	done
done
echo "end of entry"
G

files=(--file "$binary:/work/bkbench" --file "$image:/work/image.bin" --file "$work/common.sh:/work/common.sh"
	--file "$work/tools/usr/bin/spi-pipe:/work/spi-pipe")

boot() { # NAME OPTIONS... SCRIPT ARGS...
	local name=$1
	shift
	echo "== $name"
	cp "$dump" "$work/$name.bin"
	"$rig/run.sh" --timeout "$run_limit" --flash "$work/$name.bin" "${files[@]}" "$@" >"$work/$name.log" 2>&1 || true
	cat "$work/$name.log"
}
# One after the other: the kernel in the guest counts real time for each message.
boot rppal "$work/job.sh" rppal
boot linux "$work/job.sh" linux
boot entry --bus-log "$work/bus" "$work/entry.sh"

if [ -z "$no_arm" ]; then
	echo "== armhf"
	cp "$dump" "$work/armhf.bin"
	arm_code=0
	"$rig/run.sh" --timeout "$run_limit" --flash "$work/armhf.bin" --env BKBENCH_DATA_DIR=/tmp/data \
		--env BKBENCH_CONFIG_DIR=/tmp/config "$arm" info --link 'spi:0.0?cen=none' --json >"$work/armhf.log" \
		2>"$work/armhf.err" || arm_code=$?
	# The rest of the answer describes whose chip it was.
	grep -E '^  +"(chip|verdict|jedec|part|size|tie|wire|link|simulated|speed|family)":' "$work/armhf.log" || tail -5 "$work/armhf.log"
	tail -2 "$work/armhf.err"
fi

passed=0 failed=0
say() { # ok|FAIL WORDS
	printf '%-5s %s\n' "$1" "$2"
	if [ "$1" = ok ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
}

for part in rppal linux entry; do
	passed=$((passed + $(grep -c '^ok ' "$work/$part.log" || true)))
	failed=$((failed + $(grep -c '^FAIL' "$work/$part.log" || true)))
	grep -q "^end of $part" "$work/$part.log" || say FAIL "$part: the program in the guest did not reach its end"
done

if [ -n "$no_arm" ]; then
	echo "SKIPPED: no armhf binary on the emulated Pi: $no_arm"
	[ $arm_fails = 0 ] || say FAIL "the armhf build"
else
	missing=
	for fact in '"chip": "BK7231T"' '"verdict": "likely"' '"jedec": "EF 40 15"' '"size": 2097152' '"tie": "bare"' '"simulated": false'; do
		grep -qF -- "$fact" "$work/armhf.log" || missing="$missing $fact"
	done
	if [ "$arm_code" = 0 ] && [ -z "$missing" ]; then
		say ok "armhf: info identifies the chip, and not as more than likely"
	else
		say FAIL "armhf: info, exit code $arm_code, without:$missing"
	fi
	if cmp -s "$dump" "$work/armhf.bin"; then say ok "armhf: not a byte of the chip changed"; else say FAIL "armhf: the chip changed"; fi
fi

echo "== what the chips hold afterwards"
length=$(stat -c %s "$image")
cp "$dump" "$work/wanted.bin"
dd if="$image" of="$work/wanted.bin" conv=notrunc status=none
for driver in rppal linux; do
	if cmp -s "$work/wanted.bin" "$work/$driver.bin"; then
		say ok "$driver: the chip holds the image ($length bytes) and behind it what was there before"
	else
		say FAIL "$driver: the chip does not hold the image and what was there before"
	fi
done
if cmp -s "$dump" "$work/entry.bin"; then say ok "entry: not a byte of the chip changed"; else say FAIL "entry: the chip changed"; fi

echo "== the bus log"
# One letter per event: L and H are CEN falling and rising, D a frame of D2, I a read of the id, M the mark, x the rest.
letters=$(awk '/gpio22 low/ { printf "L"; next } /gpio22 high/ { printf "H"; next } /: d2 d2 d2 d2/ { printf "D"; next }
	/ 5 bytes: 9f 00 00 00 55/ { printf "M"; next } /: 9f/ { printf "I"; next } / spi / { printf "x" }' "$work/bus")
grep -m 1 -A 9 'gpio22 low' "$work/bus" || true
entries=$(grep -oE 'LHDx*I' <<<"$letters" | wc -l)
if [ "$entries" -ge 4 ]; then
	say ok "CEN low, CEN high, D2, 9F in this order ($entries times)"
else
	say FAIL "CEN low, CEN high, D2, 9F do not stand in this order"
fi
marks=$(tr -cd M <<<"$letters" | wc -c)
low=$(tr -d xID <<<"$letters" | grep -o LM | wc -l || true)
if [ "$marks" = 6 ] && [ "$low" = 0 ]; then
	say ok "CEN is high after each of $marks signals"
else
	say FAIL "CEN is low after $low of $marks signals, of 6"
fi
if grep -E 'spi    [0-9]+ bytes: (01|02|06|20|d8|c7|60|52|31|11)( |$)' "$work/bus"; then
	say FAIL "a command that changes the chip was sent although CEN has no effect"
else
	say ok "no command that changes the chip was sent while CEN had no effect"
fi

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
