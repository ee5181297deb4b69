#!/usr/bin/env bash
# Builds bkbench for armhf (32-bit Raspberry Pi OS) with Debian's compiler and the armhf standard library of the same package
# version, and prints the path of the binary. tests/pi-qemu.sh calls it, after the aarch64 build has installed the compiler.
#
#   tests/armhf-build.sh RIG CACHE
#
# RIG is the folder of the emulated Pi, whose script fetches packages of other architectures; CACHE keeps what was fetched.
# Exit code 3: it cannot be built on this machine, and the last line says why. 1: the code does not build.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
rig=${1:?the folder of the rig} cache=${2:?a folder to keep packages in}
target=armv7-unknown-linux-gnueabihf
limit=1800

cannot() { echo "$*"; exit 3; }

[ -x /usr/bin/cargo ] && [ -x /usr/bin/rustc ] || cannot "Debian's compiler is not installed"
if ! command -v arm-linux-gnueabihf-gcc >/dev/null; then
	[ "$(id -u)" = 0 ] || cannot "needs root once, to install gcc-arm-linux-gnueabihf"
	DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends gcc-arm-linux-gnueabihf \
		libc6-dev-armhf-cross >/dev/null 2>&1 || cannot "gcc-arm-linux-gnueabihf cannot be installed"
fi

version=$(dpkg-query -W -f '${Version}' libstd-rust-web-dev 2>/dev/null) || cannot "libstd-rust-web-dev is not installed"
sysroot=$cache/sysroot-armhf-$version
if [ ! -d "$sysroot/usr/lib/rustlib/$target" ]; then
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	if ! "$rig/run.sh" --fetch armhf "$work" "libstd-rust-web-dev=$version" >/dev/null 2>&1; then
		# A mirror whose armhf index lags behind its signature has the package all the same. Taken only where its hash is known.
		case $version in
		'1.96.0+dfsg1-1~deb12u2') hash=b9f9dd1d03a903680f918cb2bba00a2a3d76558545d5e6a8061072ab461bb989 ;;
		*) cannot "libstd-rust-web-dev $version for armhf cannot be fetched" ;;
		esac
		mirror=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' |
			awk '$2 ~ /-security$/ { print $1; exit }')
		/usr/lib/apt/apt-helper download-file \
			"${mirror%/}/pool/updates/main/r/rustc-web/libstd-rust-web-dev_${version}_armhf.deb" \
			"$work/libstd-rust-web-dev_armhf.deb" "SHA256:$hash" >/dev/null 2>&1 ||
			cannot "libstd-rust-web-dev $version for armhf cannot be fetched"
	fi
	mkdir -p "$cache"
	dpkg -x "$work"/libstd-rust-web-dev_*.deb "$sysroot.tmp"
	mv "$sysroot.tmp" "$sysroot"
fi

# Built to run once: nothing is optimised, which takes a third of the time.
built=0
env -u RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS -u CARGO_BUILD_TARGET CARGO_TARGET_DIR="$root/target/pi-qemu" \
	RUSTC=/usr/bin/rustc CARGO_TARGET_ARMV7_UNKNOWN_LINUX_GNUEABIHF_LINKER=arm-linux-gnueabihf-gcc \
	CARGO_TARGET_ARMV7_UNKNOWN_LINUX_GNUEABIHF_RUSTFLAGS="--sysroot=$sysroot/usr" \
	timeout "$limit" /usr/bin/cargo build --manifest-path "$root/Cargo.toml" --target "$target" --locked --bin bkbench \
	--config 'profile.dev.package."*".opt-level=0' --config profile.dev.opt-level=0 --config profile.dev.debug=false >&2 ||
	built=$?
[ $built != 124 ] || cannot "the build took longer than $limit s"
[ $built = 0 ] || exit 1
echo "$root/target/pi-qemu/$target/debug/bkbench"
