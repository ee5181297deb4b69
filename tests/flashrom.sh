#!/usr/bin/env bash
# Fetches the flashrom of Debian 13 (1.4), which knows the write protection of more parts than the 1.3 of Debian 12, and
# prints the path of a program that runs it. It lies with its own libraries in one folder: the system is left alone.
#
#   BKBENCH_FLASHROM=$(tests/flashrom.sh FOLDER) cargo test --test it flashrom::
#
# About 4 MB from the Debian mirror that this machine uses already. Needs no root. Where it cannot be had, this says why on
# stderr and fails.
set -euo pipefail
suite=trixie
folder=$(realpath -m "${1:?a folder to put it in}")
program=$folder/flashrom
limit=120

die() { echo "flashrom of Debian $suite: $*" >&2; exit 1; }

if [ ! -x "$program" ]; then
	command -v apt-get >/dev/null && command -v dpkg >/dev/null || die "this is no Debian"
	mirror=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN)' 'Created-By: Packages' 2>/dev/null |
		awk '$2 == "Debian" { print $1; exit }')
	[ -n "$mirror" ] || die "no Debian mirror among apt's sources; run apt-get update first"
	keyring=/usr/share/keyrings/debian-archive-keyring.gpg
	[ -e "$keyring" ] && signed="[signed-by=$keyring]" || signed=
	work=$folder/apt
	rm -rf "$folder"
	mkdir -p "$work"/state/lists/partial "$work"/cache/archives/partial
	echo "deb $signed $mirror $suite main" >"$work/sources.list"
	: >"$work/status"
	# apt with a state of its own, in which nothing is installed: so it names every library that is needed.
	own() {
		timeout "$limit" apt-get -qq -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null \
			-o Dir::Etc::preferencesparts=/dev/null -o Dir::State="$work/state" -o Dir::State::status="$work/status" \
			-o Dir::Cache="$work/cache" -o APT::Sandbox::User="$(id -un)" -o Debug::NoLocking=1 "$@" >"$work/log" 2>&1 ||
			die "$(tail -n 1 "$work/log")"
	}
	own update
	own install --download-only -y --no-install-recommends flashrom
	for package in "$work"/cache/archives/*.deb; do dpkg -x "$package" "$folder/root"; done
	rm -rf "$work"
	loader=$(find "$folder/root" -name 'ld-linux*.so.*' | head -n 1)
	library=$(find "$folder/root" -name 'libc.so.6' | head -n 1)
	[ -n "$loader" ] && [ -n "$library" ] || die "its packages hold no C library"
	printf '#!/bin/sh\nexec "%s" --library-path "%s" "%s" "$@"\n' \
		"$loader" "$(dirname "$library")" "$folder/root/usr/sbin/flashrom" >"$program.new"
	chmod +x "$program.new"
	mv "$program.new" "$program"
fi
"$program" --version >/dev/null 2>&1 || die "it does not run on this machine"
echo "$program"
