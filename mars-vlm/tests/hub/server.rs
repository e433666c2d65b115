//! A hub of one model in this process.

use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

pub(crate) const COMMIT: &str = "89abcdef0123456789abcdef0123456789abcdef";

/// What a server does that it should not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fault {
    #[default]
    None,
    /// Breaks off the first answer with weights in the middle.
    BreaksOff,
    /// Sends other bytes than it announced.
    Corrupts,
    /// Announces a commit that is none.
    NoCommit,
    /// Answers questions with something that is not JSON.
    Chatters,
    /// Is too busy.
    Busy,
}

/// A running server; its thread ends with the process.
pub(crate) struct Hub {
    pub(crate) endpoint: String,
    /// Paths and ranges that were asked for.
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
}

pub(crate) fn files() -> BTreeMap<&'static str, Vec<u8>> {
    let weights: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
    BTreeMap::from([
        ("config.json", b"{}".to_vec()),
        ("tokenizer.json", b"{\"a\": 1}".to_vec()),
        ("chat_template.jinja", b"{{ messages }}".to_vec()),
        ("additional_chat_templates/default.jinja", b"{{ bos_token }}".to_vec()),
        ("additional_chat_templates/tools.jinja", b"{{ tools }}".to_vec()),
        ("model.safetensors", weights),
        ("pytorch_model.bin", b"pickle".to_vec()),
        ("consolidated.safetensors", b"another form of the weights".to_vec()),
        ("onnx/model.json", b"in a folder".to_vec()),
        ("../../escape.json", b"outside".to_vec()),
    ])
}

impl Hub {
    /// Serves the model `org/tiny-vlm`, which only `token` may see if there is one.
    pub(crate) fn start(fault: Fault, token: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        std::thread::spawn(move || {
            let mut broken = false;
            for stream in listener.incoming() {
                answer(stream.unwrap(), fault, token, &log, &mut broken);
            }
        });
        Self { endpoint, asked }
    }
}

fn answer(
    mut stream: TcpStream,
    fault: Fault,
    token: Option<&str>,
    log: &Mutex<Vec<String>>,
    broken: &mut bool,
) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let first = lines.next().unwrap_or_default();
    let headers: BTreeMap<String, String> = lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| {
            line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_string()))
        })
        .collect();
    let path = first.split(' ').nth(1).unwrap_or_default().to_string();
    let range = headers.get("range").cloned().unwrap_or_default();
    log.lock().unwrap().push(format!("{path} {range}").trim_end().to_string());
    let mut send = |status: &str, more: &str, body: &[u8], sent: usize| {
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{more}\r\n", body.len());
        // The client may have gone.
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body[..sent]));
    };
    let mut whole = |status: &str, body: &[u8]| send(status, "", body, body.len());
    if fault == Fault::Busy {
        return whole("503 Service Unavailable", b"");
    }
    if token.is_some_and(|token| headers.get("authorization") != Some(&format!("Bearer {token}"))) {
        return whole("401 Unauthorized", b"");
    }
    if path == "/api/models/org/tiny-vlm/revision/main?blobs=true" {
        let siblings: Vec<_> = files()
            .into_iter()
            .map(|(name, bytes)| {
                let digest: String =
                    Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
                let lfs = name.ends_with("safetensors").then(|| serde_json::json!({"sha256": digest}));
                serde_json::json!({"rfilename": name, "size": bytes.len(), "lfs": lfs})
            })
            .collect();
        let sha = if fault == Fault::NoCommit { "../.." } else { COMMIT };
        let text = serde_json::json!({"id": "org/tiny-vlm", "sha": sha, "siblings": siblings}).to_string();
        return whole("200 OK", if fault == Fault::Chatters { b"<html>" } else { text.as_bytes() });
    }
    let name = path.strip_prefix(&format!("/org/tiny-vlm/resolve/{COMMIT}/"));
    if let Some(name) = name.filter(|name| name.ends_with("safetensors")) {
        // Large files lie elsewhere.
        return send("302 Found", &format!("Location: /elsewhere/{name}\r\n"), b"", 0);
    }
    let name = name.or_else(|| path.strip_prefix("/elsewhere/"));
    let Some(mut bytes) = name.and_then(|name| files().remove(name)) else {
        return whole("404 Not Found", b"");
    };
    if fault == Fault::Corrupts {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    }
    let from: usize =
        range.strip_prefix("bytes=").and_then(|r| r.strip_suffix('-')).map_or(0, |n| n.parse().unwrap());
    let breaks =
        fault == Fault::BreaksOff && bytes.len() > 1000 && !std::mem::replace(broken, bytes.len() > 1000);
    let rest = &bytes[from..];
    let status = if from > 0 { "206 Partial Content" } else { "200 OK" };
    send(status, "", rest, if breaks { rest.len() / 2 } else { rest.len() });
}
