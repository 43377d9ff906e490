#![no_main]

cache_core_fuzz::target!(zstd);
