# The commands of this project; `make help` lists them. CMake does the work (CMakePresets.json), this file only strings
# together: install what is missing, configure, build, run.

PREFIX ?= /usr/local
ARGS ?=
FUZZ_SECONDS ?= 60

# `make run` needs no test packages. A folder that `make test` has configured keeps its tests, so neither command makes
# the other one rebuild anything.
ONLY_PRODUCT := $(if $(wildcard build/release/CMakeCache.txt),,-DHADAL_TESTS=OFF -DHADAL_BENCH=OFF)
WITH_TESTS := -DHADAL_TESTS=ON -DHADAL_BENCH=ON

.PHONY: help build run test bench fuzz asan tsan format install clean
.NOTPARALLEL:
.DEFAULT_GOAL := help

help:
	@echo "make run      install what is missing, build, chat with the embedded model (ARGS='...' are passed on)"
	@echo "make test     install what is missing, build everything, run all tests"
	@echo "make build    install what is missing, build build/release/bin/hadal"
	@echo "make install  build, then install it with man pages below PREFIX (default $(PREFIX)); DESTDIR is honoured"
	@echo "make bench    build and run the micro-benchmarks"
	@echo "make asan     unit tests under AddressSanitizer and UndefinedBehaviorSanitizer"
	@echo "make tsan     tests of what uses threads under ThreadSanitizer"
	@echo "make fuzz     each fuzz target for FUZZ_SECONDS (default $(FUZZ_SECONDS)) seconds from its kept corpus"
	@echo "make format   clang-format every C++ file"
	@echo "make clean    remove build/"

build:
	@tools/install_packages.sh product
	@tools/build.sh release hadal $(ONLY_PRODUCT)

# exec: Ctrl-C belongs to hadal, no shell stands between.
run: build
	@exec build/release/bin/hadal run $(ARGS)

test:
	@tools/install_packages.sh product tests
	@tools/build.sh release all $(WITH_TESTS)
	@tools/run_tests.sh release $(ARGS)

bench:
	@tools/install_packages.sh product tests
	@tools/build.sh release all $(WITH_TESTS)
	@set -e; for bench in build/release/*_bench; do echo "== $${bench##*/}"; $$bench $(ARGS); done

asan:
	@tools/install_packages.sh product tests
	@tools/build.sh asan all
	@tools/run_tests.sh asan $(ARGS)

tsan:
	@tools/install_packages.sh product tests
	@tools/build.sh tsan threaded_tests
	@tools/run_tests.sh tsan $(ARGS)

fuzz:
	@tools/install_packages.sh product fuzz
	@tools/build.sh fuzz all
	@tools/run_fuzzers.sh $(FUZZ_SECONDS)

format:
	@git ls-files '*.cpp' '*.h' | xargs clang-format-14 -i

install: build
	@tools/build.sh release manual $(ONLY_PRODUCT)
	@cmake --install build/release --prefix $(PREFIX)

clean:
	rm -rf build
