# shellcheck shell=bash
# What scripts/demo, scripts/test and .ci/run share: steps that print one line each, packages, builds, test runs. These
# scripts source it, and it changes to the top of the checkout.
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
logs=$root/build/logs
export LC_ALL=C.UTF-8
unset CDPATH
cd -- "$root" || exit 1
mkdir -p -- "$logs"

# What building the library and the program needs on Debian 12.
# shellcheck disable=SC2034
build_packages=(gcc libc6-dev cmake ninja-build pkg-config libssl-dev nettle-dev libcurl4-openssl-dev libyajl-dev)
# What the tests need as well: g++ compiles the headers as C++, openssl makes the certificates of test servers, an
# example runs in libuv's loop.
# shellcheck disable=SC2034
test_packages=(g++ libcmocka-dev libuv1-dev python3 openssl)

# step TITLE COMMAND...: runs it and prints one line with its seconds or, if it fails, the end of its output. The whole
# output is in $log. A function whose steps are joined by && can be a COMMAND; set -e does not work inside one.
step() {
    local title=$1 start=$SECONDS
    shift
    log=$logs/$(basename -- "$0")-${title//[^A-Za-z0-9]/-}.log
    printf '%-56s' "$title"
    if "$@" >"$log" 2>&1 </dev/null; then
        printf ' %4d s\n' "$((SECONDS - start))"
        return
    fi
    printf ' FAILED after %d s\n' "$((SECONDS - start))"
    tail -n 120 -- "$log" | sed 's/^/    /'
    printf 'All of it: %s\n' "$log"
    return 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

install_packages() {
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300)
    as_root "${apt[@]}" update && as_root "${apt[@]}" install -y --no-install-recommends "$@"
}

# need PACKAGE...: installs those that are missing. If none is, it needs neither the network nor root.
need() {
    local package missing=()
    if ! command -v dpkg-query >/dev/null; then
        echo "This is not a Debian system: nothing is installed. These packages of Debian, or the like, are needed: $*"
        return
    fi
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
        echo "Packages are missing, and only root can install them: apt-get install ${missing[*]}"
        return 1
    fi
    step "installing ${missing[*]}" install_packages "${missing[@]}"
}

# build PRESET [CMAKE-OPTION...]: builds in build/PRESET.
build() {
    cmake --preset "$@" && cmake --build "build/$1" -j "$(nproc)"
}

# run_tests PRESET [CTEST-OPTION...]: runs what was built, shows what failed; its last line is the counts.
run_tests() {
    local preset=$1 junit=$logs/$1.xml output=$logs/$1-ctest.log unshuffled=()
    shift
    # The sanitizers need parts of the address space that the kernel may have given away at random. Not every container
    # allows to switch that off.
    if [[ $preset = ?san ]] && setarch -R true 2>/dev/null; then unshuffled=(setarch -R); fi
    rm -f -- "$junit"
    "${unshuffled[@]}" ctest --preset "$preset" --output-junit "$junit" \
        --test-output-size-passed 1000000 --test-output-size-failed 1000000 "$@" >"$output" 2>&1 </dev/null || true
    if [ ! -s "$junit" ]; then
        tail -n 20 -- "$output"
        echo "ctest did not finish. All of its output: $output"
        echo "0 passed, 1 failed"
        return 1
    fi
    python3 scripts/count-tests "$junit" "$output"
}
