//! Socket addresses as nginx holds them: bytes of a `struct sockaddr`.

use std::net::{IpAddr, SocketAddr};
use std::ptr;

use ngx::ffi::{ngx_addr_t, sockaddr, socklen_t};

use crate::ngx::text;

/// The bytes of a `sockaddr_un`. `None` if the path is empty or too long for one.
pub fn unix(path: &str) -> Option<Vec<u8>> {
    // SAFETY: all zeroes is a valid sockaddr_un.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    if path.is_empty() || path.len() >= address.sun_path.len() {
        return None;
    }
    for (place, byte) in address.sun_path.iter_mut().zip(path.bytes()) {
        *place = byte as libc::c_char;
    }
    // nginx gives the whole structure's length, too
    Some(bytes_of(&address))
}

/// The bytes of a `sockaddr_in` or `sockaddr_in6`.
pub fn inet(address: SocketAddr) -> Vec<u8> {
    match address {
        SocketAddr::V4(v4) => {
            // SAFETY: all zeroes is a valid sockaddr_in.
            let mut raw: libc::sockaddr_in = unsafe { std::mem::zeroed() };
            raw.sin_family = libc::AF_INET as libc::sa_family_t;
            raw.sin_port = v4.port().to_be();
            raw.sin_addr.s_addr = u32::from_ne_bytes(v4.ip().octets());
            bytes_of(&raw)
        }
        SocketAddr::V6(v6) => {
            // SAFETY: all zeroes is a valid sockaddr_in6.
            let mut raw: libc::sockaddr_in6 = unsafe { std::mem::zeroed() };
            raw.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            raw.sin6_port = v6.port().to_be();
            raw.sin6_addr.s6_addr = v6.ip().octets();
            raw.sin6_scope_id = v6.scope_id();
            bytes_of(&raw)
        }
    }
}

/// The bytes of an address that nginx has resolved, and its text.
///
/// # Safety
///
/// `address` is one that `ngx_parse_url` gave.
pub unsafe fn of_nginx(address: &ngx_addr_t) -> (Vec<u8>, String) {
    // SAFETY: by contract.
    unsafe {
        let bytes =
            std::slice::from_raw_parts(address.sockaddr.cast::<u8>(), address.socklen as usize);
        let text = String::from_utf8_lossy(text::bytes(&address.name)).into_owned();
        (bytes.to_vec(), text)
    }
}

/// The IP address in a socket address. `None` if it is of another family.
///
/// # Safety
///
/// `address` is null or points to `length` bytes of a socket address.
pub unsafe fn ip(address: *const sockaddr, length: socklen_t) -> Option<IpAddr> {
    if address.is_null() {
        return None;
    }
    let length = length as usize;
    // SAFETY: by contract; so many bytes are read as the family says, if there are as many. They needn't be aligned.
    unsafe {
        match libc::c_int::from((*address).sa_family) {
            libc::AF_INET if length >= size_of::<libc::sockaddr_in>() => {
                let v4 = ptr::read_unaligned(address.cast::<libc::sockaddr_in>());
                Some(IpAddr::from(v4.sin_addr.s_addr.to_ne_bytes()))
            }
            libc::AF_INET6 if length >= size_of::<libc::sockaddr_in6>() => {
                let v6 = ptr::read_unaligned(address.cast::<libc::sockaddr_in6>());
                Some(IpAddr::from(v6.sin6_addr.s6_addr))
            }
            _ => None,
        }
    }
}

fn bytes_of<T: Copy>(value: &T) -> Vec<u8> {
    // SAFETY: socket addresses are plain bytes without padding that matters.
    unsafe { std::slice::from_raw_parts((&raw const *value).cast::<u8>(), size_of::<T>()).to_vec() }
}
