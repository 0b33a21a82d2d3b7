# Sourced by the entry scripts: install_packages NAME... installs what is missing of Debian's
# packages, as root or by sudo, and does nothing when all are there.
BUILD_PACKAGES="gcc libc6-dev cmake ninja-build pkg-config python3 python3-yaml
    libmicrohttpd-dev libjansson-dev libsqlite3-dev libsodium-dev zlib1g-dev libzstd-dev libpq-dev
    libmariadb-dev libyaml-dev libcurl4-openssl-dev
    libssl-dev"
RUN_PACKAGES="curl ca-certificates sqlite3 jq"
TEST_PACKAGES="ccache gcovr clang-14 clang-format-14 clang-tidy-14 cppcheck libclang-rt-14-dev
    libcriterion-dev libyajl-dev git strace valgrind python3-venv zstd gzip python3-jsonschema unicode-data iso-codes
    postgresql mariadb-server openssl prometheus python3-psycopg2 python3-pymysql e2fsprogs mount
    python3-venv chromium chromium-driver fonts-dejavu-core nginx-light
    buildah podman runc debootstrap binutils dpkg-dev file lintian systemd nghttp2-server"
# Debian's npm comes with hundreds of packages: only where there is none.
command -v npm >/dev/null || TEST_PACKAGES="$TEST_PACKAGES nodejs npm"
BENCH_PACKAGES="pgloader python3-requests wrk nginx"

install_packages() {
    missing=
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
            missing="$missing $package"
    done
    [ -z "$missing" ] && return 0
    echo "installing:$missing"
    sudo=
    if [ "$(id -u)" != 0 ]; then
        sudo=sudo
    fi
    $sudo apt-get update -qq
    # Word splitting of the list is meant.
    # shellcheck disable=SC2086
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
}
