#!/bin/sh
# Copies into ROOT what the image contains of Debian: PROGRAMs with the libraries that they load, what they read, and for each
# package that these come from its licence and its entry of dpkg, in the folder where scanners look for it:
#
#     collect.sh ROOT PROGRAM ...
set -eu
root=$1
shift
owned=$(mktemp)

# A path with the links that lead to it. Folders are resolved first: /lib is a link to /usr/lib.
take() {
  path=$1
  while :; do
    folder=$(readlink -f "$(dirname "$path")")
    path=$folder/$(basename "$path")
    if [ -e "$root$path" ] || [ -L "$root$path" ]; then return; fi
    mkdir -p "$root$folder"
    cp -d --preserve=mode,timestamps "$path" "$root$path"
    echo "$path" >>"$owned"
    if [ ! -L "$path" ]; then return; fi
    case $(readlink "$path") in
      /*) path=$(readlink "$path") ;;
      *) path=$folder/$(readlink "$path") ;;
    esac
  done
}

# A program or library, and every library that the loader finds for it.
take_with_libraries() {
  take "$1"
  for library in $(ldd "$1" | grep -o '/[^ )]*'); do take "$library"; done
}

for folder in bin sbin lib lib64; do
  if [ -L "/$folder" ]; then
    mkdir -p "$root/usr/$folder"
    ln -s "usr/$folder" "$root/$folder"
  fi
done
mkdir -p "$root/run" "$root/var/lib" "$root/var/log" "$root/root"
mkdir -m 1777 "$root/tmp"
ln -s /run "$root/var/run"

for program in "$@"; do
  # `command -v` alone: an empty argument of take would be this folder.
  found=$(command -v "$program") || { echo "no program $program" >&2; exit 1; }
  take_with_libraries "$found"
done
# Every name of iptables: init and doctor put them together, and a reader of docs/ may use one of them.
for link in /usr/sbin/ip*tables*; do
  case $(readlink -f "$link") in */xtables-*-multi) take_with_libraries "$link" ;; esac
done
# Matches and targets of iptables, each a library that is loaded when a rule names it.
for plugin in /usr/lib/*/xtables/*.so; do take_with_libraries "$plugin"; done
# Names of tables and protocols for ip and ss.
for names in /etc/iproute2/* /usr/share/iproute2/*; do if [ -f "$names" ]; then take "$names"; fi; done
for file in nsswitch.conf passwd group os-release debian_version; do
  if [ -e "/etc/$file" ]; then take "/etc/$file"; fi
done

# Licences, and the list of packages in the form of distroless images.
status=$root/var/lib/dpkg/status.d
mkdir -p "$status"
# dpkg knows paths as they were packed: of a file in /usr/lib perhaps the one in /lib. Links of alternatives have no owner.
sed 'p;s|^/usr||' "$owned" | xargs dpkg -S 2>/dev/null | grep -v '^diversion ' | sed 's/: .*//' | sort -u |
  while read -r package; do
    name=${package%%:*}
    dpkg-query -s "$package" >"$status/$name"
    mkdir -p "$root/usr/share/doc/$name"
    cp -L "/usr/share/doc/$name/copyright" "$root/usr/share/doc/$name/copyright"
  done
rm "$owned"
