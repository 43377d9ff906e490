//! Which servers might share records: those whose locations have the default key, and the ports that they listen on.
//!
//! A key names the port that the client asks, which is the same on every machine. But a client may ask any: where
//! several such servers listen on several ports, it is the connection's port that tells them apart.

use ngx::ffi::*;

/// Servers whose locations have the default key.
#[derive(Default)]
pub struct Sites(Vec<Site>);

struct Site {
    server: *const ngx_http_core_srv_conf_t,
    ports: Vec<u16>,
}

impl Sites {
    /// Notes that a location of this server has the default key.
    pub fn add(&mut self, server: *const ngx_http_core_srv_conf_t) {
        if !self.0.iter().any(|site| site.server == server) {
            let ports = Vec::new();
            self.0.push(Site { server, ports });
        }
    }

    /// Looks up the ports of the sites, now that all is read.
    ///
    /// # Safety
    ///
    /// `cf` is the configuration that was read, within http.
    pub unsafe fn find_ports(&mut self, cf: *mut ngx_conf_t) {
        // SAFETY: by contract; the arrays are those of nginx's core, which has none without a server.
        unsafe {
            let ctx = (*cf).ctx.cast::<ngx_http_conf_ctx_t>();
            let core = (*(*ctx).main_conf.add(ngx_http_core_module.ctx_index))
                .cast::<ngx_http_core_main_conf_t>();
            let Some(ports) = (*core).ports.as_ref() else {
                return;
            };
            for port in ports.as_slice::<ngx_http_conf_port_t>() {
                let number = port.port;
                for address in port.addrs.as_slice::<ngx_http_conf_addr_t>() {
                    let servers = address
                        .servers
                        .as_slice::<*const ngx_http_core_srv_conf_t>();
                    for site in &mut self.0 {
                        if number != 0 && servers.contains(&site.server) {
                            site.ports.push(number);
                        }
                    }
                }
            }
        }
    }

    /// Whether a site beside `server` listens on another port than this.
    pub fn has_elsewhere(&self, server: *const ngx_http_core_srv_conf_t, port: u16) -> bool {
        let others = || self.0.iter().filter(|site| site.server != server);
        others().any(|site| site.ports.iter().any(|other| *other != port))
    }
}
