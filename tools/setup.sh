#!/usr/bin/env bash
# Prepares a fresh Debian machine: packages, a virtual environment with LibTorch, configure, build.
# Idempotent: what is already there is kept. Leaves the program at build/release/sdg; tools/test.sh builds the tests.
#   tools/setup.sh              everything
#   tools/setup.sh --no-build   packages and environment only
set -euo pipefail
cd "$(dirname "$0")/.."

torch_version=2.13.0
python_packages=(safetensors tensorboard scikit-learn pillow)
debian_packages=(cmake ninja-build ccache mold clang-19 libclang-rt-19-dev clang-format-19 clang-tidy-19 git python3 python3-venv pkg-config
  libspdlog-dev libyaml-cpp-dev libcli11-dev libgtest-dev libgmock-dev libstb-dev libturbojpeg0-dev libwebp-dev libarchive-dev zlib1g-dev libxxhash-dev
  nlohmann-json3-dev libgloo-dev)

say() { printf '\033[1m[setup]\033[0m %s\n' "$*"; }
die() { printf '[setup] %s\n' "$*" >&2; exit 1; }

# Debian packages: ask only for what is missing.
missing=()
for package in "${debian_packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
if ((${#missing[@]})); then
  command -v apt-get >/dev/null || die "this script installs Debian packages; install these yourself: ${missing[*]}"
  sudo=()
  ((EUID == 0)) || sudo=(sudo)
  say "installing ${#missing[@]} Debian packages: ${missing[*]}"
  "${sudo[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

# LibTorch comes from the wheel of the same name; any environment that holds torch will do (SDG_TORCH_DIR overrides it).
[[ -x .venv/bin/python ]] || { say "making .venv"; python3 -m venv .venv; }
if ! .venv/bin/python -c "import importlib.metadata as m, sys; sys.exit(m.version('torch').split('+')[0] != '$torch_version')" 2>/dev/null; then
  say "installing torch $torch_version"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check "torch==$torch_version"
fi
if ! .venv/bin/python -c 'import safetensors, tensorboard, sklearn, numpy, PIL' 2>/dev/null; then
  say "installing the peers that tests compare with: ${python_packages[*]}"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check numpy "${python_packages[@]}"
fi
[[ "${1:-}" == --no-build ]] && exit 0

say "building (presets: release)"
cmake --preset release >/dev/null || die "configuring failed; run: cmake --preset release"
cmake --build --preset release --target sdg
say "ready: build/release/sdg --help"
