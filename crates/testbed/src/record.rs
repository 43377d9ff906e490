//! A record as it lies in Redis.

use std::collections::{BTreeMap, HashMap};

use md5::{Digest, Md5};
use redis::{Connection, RedisResult};
use serde_json::Value;

/// The fields of a record's hash.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// Field `status`.
    pub status: String,
    /// Field `headers`: a JSON object, its bytes as they are.
    pub headers: Vec<u8>,
    /// Field `body`.
    pub body: Vec<u8>,
    /// All other fields.
    pub others: BTreeMap<String, Vec<u8>>,
}

impl Record {
    /// A record of these three fields, as the Lua script writes them.
    #[must_use]
    pub fn lua(status: &str, headers: impl Into<Vec<u8>>, body: impl Into<Vec<u8>>) -> Record {
        Record {
            status: status.to_owned(),
            headers: headers.into(),
            body: body.into(),
            others: BTreeMap::new(),
        }
    }

    /// Writes it as the Lua script does: MULTI, HMSET, EXPIRE, EXEC.
    pub fn write(&self, connection: &mut Connection, key: &str, seconds: i64) -> RedisResult<()> {
        let mut write = redis::pipe();
        write.atomic();
        let hmset = write.cmd("HMSET").arg(key);
        hmset
            .arg("status")
            .arg(&self.status)
            .arg("headers")
            .arg(&self.headers);
        hmset.arg("body").arg(&self.body);
        for (field, value) in &self.others {
            hmset.arg(field).arg(value);
        }
        write.ignore().cmd("EXPIRE").arg(key).arg(seconds).ignore();
        write.query(connection)
    }

    /// Reads the one at `key`; `None` if there is no such key.
    ///
    /// # Panics
    ///
    /// If it lacks a field that all records have.
    pub fn read(connection: &mut Connection, key: &str) -> RedisResult<Option<Record>> {
        let mut fields: HashMap<String, Vec<u8>> =
            redis::cmd("HGETALL").arg(key).query(connection)?;
        if fields.is_empty() {
            return Ok(None);
        }
        let mut field = |name: &str| {
            fields
                .remove(name)
                .unwrap_or_else(|| panic!("{key}: no {name}"))
        };
        let status = String::from_utf8(field("status")).expect("a status in digits");
        let (headers, body) = (field("headers"), field("body"));
        let others: BTreeMap<String, Vec<u8>> = fields.into_iter().collect();
        Ok(Some(Record {
            status,
            headers,
            body,
            others,
        }))
    }

    /// The record of a 200 of type text/plain, as the Lua script writes it: slashes escaped, the length a number.
    #[must_use]
    pub fn lua_text(body: &str) -> Record {
        let headers = format!(
            r#"{{"Content-Type":"text\/plain","Content-Length":{}}}"#,
            body.len()
        );
        Record::lua("200", headers, body)
    }

    /// The values of header `name` (in any case), one or several; numbers as text.
    ///
    /// # Panics
    ///
    /// If the field isn't a JSON object of strings, numbers and arrays of those.
    #[must_use]
    pub fn header(&self, name: &str) -> Vec<String> {
        self.headers_json()
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .flat_map(|(_, value)| match value {
                Value::Array(values) => values.iter().map(text).collect(),
                one => vec![text(one)],
            })
            .collect()
    }

    /// Field `headers` as JSON. Bytes that aren't UTF-8 are replaced: the script's encoder passes them through.
    ///
    /// # Panics
    ///
    /// If it isn't a JSON object.
    #[must_use]
    pub fn headers_json(&self) -> serde_json::Map<String, Value> {
        let json = String::from_utf8_lossy(&self.headers);
        match serde_json::from_str(&json) {
            Ok(Value::Object(object)) => object,
            other => panic!("headers: {json}: {other:?}"),
        }
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        other => panic!("a header's value in a record: {other}"),
    }
}

/// What set_md5 makes of `text`: the key of a request in the seed's configuration.
#[must_use]
pub fn md5_hex(text: &str) -> String {
    Md5::digest(text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
