# Sourced by ./check and ./demo: installs what is missing, runs steps quietly with their time.
# step NAME COMMAND... prints one line; on failure also the step's whole output.

NACRE_LOGS=$(mktemp -d)
trap 'rm -rf "$NACRE_LOGS"' EXIT
NACRE_JOBS=$(nproc 2>/dev/null || echo 2)

step() {
	local name=$1 start=$SECONDS status
	shift
	NACRE_LOG=$NACRE_LOGS/$(printf '%s' "$name" | tr -c 'a-zA-Z0-9' _).log
	[ -t 1 ] && printf '%-34s ...' "$name"
	"$@" >"$NACRE_LOG" 2>&1 </dev/null
	status=$?
	[ -t 1 ] && printf '\r'
	if [ $status -eq 0 ]; then
		printf '%-34s ok   %4d s\n' "$name" $((SECONDS - start))
	else
		printf '%-34s FAIL %4d s\n' "$name" $((SECONDS - start))
		cat "$NACRE_LOG"
	fi
	return $status
}

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo -n "$@"
	else
		echo "these packages are missing and neither root nor sudo is at hand: ${missing[*]}"
		return 1
	fi
}

install_missing() {
	export DEBIAN_FRONTEND=noninteractive
	local options=(-y -q -o DPkg::Lock::Timeout=600 --no-install-recommends)
	as_root apt-get -q -o DPkg::Lock::Timeout=600 update || return 1
	as_root env DEBIAN_FRONTEND=noninteractive apt-get "${options[@]}" install "${missing[@]}"
}

# need_packages PACKAGE...: installs those that are not there (Debian 12 and its kin).
need_packages() {
	command -v dpkg-query >/dev/null || return 0
	missing=()
	local package
	for package in "$@"; do
		[ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
			missing+=("$package")
	done
	[ ${#missing[@]} -eq 0 ] && return 0
	step "install ${#missing[@]} packages" install_missing
}

# What nacre itself needs; doc/dependencies.md says what each is for.
NACRE_BUILD_PACKAGES=(cmake ninja-build gcc libc6-dev pkg-config python3 flex bison libjansson-dev libpcre2-dev libutf8proc-dev
	libzip-dev llvm-19-dev lld-19)
NACRE_TEST_PACKAGES=(graphviz llvm-19-tools libcriterion-dev clang-19 libclang-rt-19-dev clang-format-19)
