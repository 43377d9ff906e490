# Read by nginx's configure after config, when it writes objs/Makefile.
#
# nginx's own rule for a dynamic module compiles C files; this one calls cargo, each time: cargo knows what has changed.
# An unchanged module keeps its time.

ngx_redis_cache_dir=`cd "$ngx_addon_dir" && pwd`
ngx_redis_cache_name=ngx_http_redis_cache_module.so
ngx_redis_cache_file=$NGX_OBJS/$ngx_redis_cache_name

# As nginx's own auto/install has it, which is read later.
case "$NGX_MODULES_PATH" in
    /*) ngx_redis_cache_modules="\$(DESTDIR)$NGX_MODULES_PATH" ;;
    *) ngx_redis_cache_modules="\$(DESTDIR)$NGX_PREFIX/$NGX_MODULES_PATH" ;;
esac
ngx_redis_cache_installed=$ngx_redis_cache_modules/$ngx_redis_cache_name

cat << END                                                    >> $NGX_MAKEFILE

modules:	$ngx_redis_cache_file

$ngx_redis_cache_file:	redis_cache_cargo
	bash '$ngx_redis_cache_dir/build-aux/addon' build . $NGX_OBJS $ngx_redis_cache_file

redis_cache_cargo:

install:	redis_cache_install

redis_cache_install:	$ngx_redis_cache_file
	test -d '$ngx_redis_cache_modules' || mkdir -p '$ngx_redis_cache_modules'
	test ! -f '$ngx_redis_cache_installed' \\
		|| mv '$ngx_redis_cache_installed' '$ngx_redis_cache_installed.old'
	cp $ngx_redis_cache_file '$ngx_redis_cache_installed'

.PHONY:	redis_cache_cargo redis_cache_install

END
