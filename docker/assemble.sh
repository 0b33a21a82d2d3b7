#!/bin/sh
# Puts together the root file system of the image: the program, the libraries that it loads, the
# authorities it trusts, time zones, the licences of all of it and a list of what is inside. No
# shell, no package manager, nothing setuid. The Dockerfile calls this, and so does the test that
# looks at the result.
#
#   docker/assemble.sh build/release/connectord FOLDER
set -eu
program=$1
root=$2
uid=65532

mkdir -p "$root/usr/bin" "$root/usr/lib64" "$root/etc/ssl/certs" "$root/usr/share/doc" "$root/tmp" "$root/data"
for name in bin lib lib64; do
    ln -sfn "usr/$name" "$root/$name"
done
install -m 755 "$program" "$root/usr/bin/connectord"
strip "$root/usr/bin/connectord"

# The loader and every library, under the names by which they are asked for.
ldd "$program" | grep -o '/[^ ]*' | while read -r library; do
    target=$root/usr/${library#/usr/}
    mkdir -p "$(dirname "$target")"
    cp -L "$library" "$target"
    readlink -f "$library"
done | sort -u >"$root/tmp/libraries"

cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
mkdir -p "$root/usr/share/zoneinfo"
(cd /usr/share/zoneinfo && find . -type f ! -path './right/*' ! -path './posix/*' -print0 |
    tar --null -T - -cf -) | tar -C "$root/usr/share/zoneinfo" -xf -
printf 'root:x:0:0:root:/:/usr/bin/connectord\nconnectord:x:%s:%s::/data:/usr/bin/connectord\n' $uid $uid >"$root/etc/passwd"
printf 'root:x:0:\nconnectord:x:%s:\n' $uid >"$root/etc/group"
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"

# Which packages these files are from, with their licences.
{
    # Debian knows some of them by the path that they had before /lib became a link to /usr/lib.
    while read -r library; do
        dpkg-query -S "$library" 2>/dev/null || dpkg-query -S "${library#/usr}"
    done <"$root/tmp/libraries" | cut -d: -f1
    printf 'ca-certificates\ntzdata\n'
} | sort -u >"$root/tmp/packages"
{
    printf '{"spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": "connectord",\n "packages": ['
    separator=
    while read -r package; do
        printf '%s\n  {"SPDXID": "SPDXRef-%s", "name": "%s", "versionInfo": "%s", "supplier": "Organization: Debian", "downloadLocation": "NOASSERTION"}' \
            "$separator" "$package" "$package" "$(dpkg-query -W -f '${Version}' "$package")"
        separator=,
        mkdir -p "$root/usr/share/doc/$package"
        cp -L "/usr/share/doc/$package/copyright" "$root/usr/share/doc/$package/"
    done <"$root/tmp/packages"
    printf '\n]}\n'
} >"$root/usr/share/sbom.spdx.json"
mkdir -p "$root/usr/share/doc/connectord"
cp LICENSE "$root/usr/share/doc/connectord/copyright"
rm "$root/tmp/libraries" "$root/tmp/packages"
chmod 1777 "$root/tmp"
chmod 700 "$root/data"
chown -R $uid:$uid "$root/data"
