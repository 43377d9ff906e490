#![no_main]

cache_core_fuzz::target!(no_vary_search);
