//! Fetching a model into the cache: the list of its files, then each of them, begun downloads continued.
//!
//! Files are written straight into the snapshot, as on systems without links. The reference to it is written last, so
//! a download that was cut off is never taken for a model.
//!
//! Wanted are `model*.safetensors`, `*.json`, `*.jinja` and `*.txt` in the top folder, and the chat template in a folder
//! that counts. A file is written to `blobs/COMMIT.NAME.incomplete` (`%2F` for a `/` in the name), continued from its
//! length by a range request, compared with the announced size and, where the hub announces one, as for weights, with the
//! SHA-256 digest, and renamed. The connection is given up after 30 seconds of silence; there is no other limit of time.

use super::{Cache, ModelId, Progress, begun};
use crate::{Error, chat::source::IN_FOLDER};
use mars_lora::{files, stored::regular};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use ureq::config::RedirectAuthHeaders;
use ureq::http::{Response, StatusCode};

use ureq::{Agent, Body};

/// Files of a model beside its weights.
const SUFFIXES: [&str; 3] = ["json", "jinja", "txt"];
/// Longest list of files that is read, bytes.
const LONGEST_LIST: u64 = 16 << 20;
/// How long the server may send nothing: to connect, to answer, and between two parts of an answer.
const SILENCE: Duration = Duration::from_secs(30);

/// A hub.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its address (`HF_ENDPOINT`).
    pub endpoint: String,
    /// Access token (`HF_TOKEN`), for models that are not open to everybody.
    pub token: Option<String>,
}

/// The answer to the question what a revision is.
#[derive(Deserialize)]
struct Revision {
    sha: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    lfs: Option<Large>,
}

#[derive(Deserialize)]
struct Large {
    sha256: Option<String>,
}

/// A transfer to one model's folder.
struct Transfer<'a> {
    server: &'a Server,
    id: &'a ModelId,
    agent: Agent,
    /// The model's folder in the cache.
    model: PathBuf,
}

impl Server {
    /// Fetches what is missing of a model, and returns its snapshot.
    ///
    /// # Errors
    /// [`Error::Network`] if the server cannot be reached or breaks off, [`Error::Refused`] if it has no such model or
    /// does not show it, and for files that are not what was announced; [`Error::Io`].
    pub(super) fn fetch(
        &self,
        id: &ModelId,
        cache: &Cache,
        observe: &mut dyn FnMut(Progress<'_>),
    ) -> Result<PathBuf, Error> {
        let agent = Agent::config_builder()
            .timeout_connect(Some(SILENCE))
            .timeout_recv_response(Some(SILENCE))
            .timeout_per_read(Some(SILENCE))
            .http_status_as_error(false)
            .redirect_auth_headers(RedirectAuthHeaders::SameHost)
            .build()
            .new_agent();
        Transfer { server: self, id, agent, model: cache.model(id) }.run(observe)
    }
}

impl Transfer<'_> {
    /// Fetches the files that the snapshot lacks, then lets the revision refer to it.
    fn run(&self, observe: &mut dyn FnMut(Progress<'_>)) -> Result<PathBuf, Error> {
        let Revision { sha, siblings } = self.revision()?;
        if !super::id::is_commit(&sha) {
            return Err(self.refused(format!("the server calls the revision {sha:?}, which is no commit")));
        }
        let wanted: Vec<&Sibling> = siblings.iter().filter(|file| is_wanted(&file.rfilename)).collect();
        let snapshot = self.model.join("snapshots").join(&sha);
        let partial = self.model.join("blobs");
        for folder in [&snapshot, &partial] {
            files::create_directories(folder).map_err(Error::io(folder))?;
        }
        let total = wanted.iter().filter_map(|file| file.size).sum();
        let mut done = 0;
        for file in wanted {
            let target = snapshot.join(&file.rfilename);
            if !regular::is_file(&target).map_err(Error::io(&target))? {
                let before = done;
                let mut observe =
                    |bytes| observe(Progress { file: &file.rfilename, done: before + bytes, total });
                let part = partial.join(format!("{sha}.{}.incomplete", file.rfilename.replace('/', "%2F")));
                self.file(&sha, file, &part, &mut observe)?;
                let folder = target.parent().unwrap_or(&snapshot);
                files::create_directories(folder).map_err(Error::io(folder))?;
                begun::place(&part, &target)
                    .and_then(|()| files::sync_directory(folder))
                    .map_err(Error::io(&target))?;
            }
            done += file.size.unwrap_or(0);
        }
        if let Some(name) = super::cache::missing(&snapshot, super::Need::Weights)? {
            let why = format!("it has no {name}, which a model in Hugging Face format has");
            return Err(self.refused(why));
        }
        if !self.id.is_commit() {
            self.refer(&sha)?;
        }
        Ok(snapshot)
    }

    /// What the revision is and which files it has.
    fn revision(&self) -> Result<Revision, Error> {
        let Server { endpoint, .. } = self.server;
        let (path, revision) = (self.id.path(), self.id.revision().replace('/', "%2F"));
        let url = format!("{endpoint}/api/models/{path}/revision/{revision}?blobs=true");
        let mut response = self.get(&url, None)?;
        let text = response.body_mut().with_config().limit(LONGEST_LIST).read_to_string();
        let text = text.map_err(|e| self.broken(&url, e))?;
        serde_json::from_str(&text)
            .map_err(|e| self.refused(format!("the answer of {url} is no list of files: {e}")))
    }

    /// Fetches a file to `part`, from where it was broken off, and compares it with what was announced.
    fn file(
        &self,
        sha: &str,
        file: &Sibling,
        part: &Path,
        observe: &mut dyn FnMut(u64),
    ) -> Result<(), Error> {
        let Some(mut out) = begun::open(part).map_err(Error::io(part))? else {
            let why = format!("another process fetches {}; wait for it", part.display());
            return Err(Error::Network { url: self.server.endpoint.clone(), why });
        };
        let mut have = out.metadata().map_err(Error::io(part))?.len();
        if file.size.is_some_and(|size| have > size) {
            out.set_len(0).map_err(Error::io(part))?;
            have = 0;
        }
        if file.size.is_none_or(|size| have < size) {
            let url = format!("{}/{}/resolve/{sha}/{}", self.server.endpoint, self.id.path(), file.rfilename);
            let response = self.get(&url, (have > 0).then_some(have))?;
            if have > 0 && response.status() != StatusCode::PARTIAL_CONTENT {
                out.set_len(0).map_err(Error::io(part))?;
                have = 0;
            }
            out.seek(SeekFrom::Start(have)).map_err(Error::io(part))?;
            let mut body = response.into_body().into_reader();
            let mut buffer = vec![0; 1 << 16];
            loop {
                let count = body.read(&mut buffer).map_err(|e| self.broken(&url, ureq::Error::Io(e)))?;
                if count == 0 {
                    break;
                }
                out.write_all(&buffer[..count]).map_err(Error::io(part))?;
                have += count as u64;
                observe(have);
            }
        }
        if let Some(size) = file.size.filter(|size| *size != have) {
            let why = format!(
                "{} came with {have} bytes of {size}; the same call continues from there",
                file.rfilename
            );
            return Err(Error::Network { url: self.server.endpoint.clone(), why });
        }
        out.sync_all().map_err(Error::io(part))?;
        self.check(file, out, part)
    }

    /// Compares a fetched file with its announced digest; a wrong one is removed.
    fn check(&self, file: &Sibling, mut out: File, part: &Path) -> Result<(), Error> {
        let Some(expected) = file.lfs.as_ref().and_then(|large| large.sha256.as_ref()) else { return Ok(()) };
        out.seek(SeekFrom::Start(0)).map_err(Error::io(part))?;
        let mut digest = Sha256::new();
        std::io::copy(&mut out, &mut digest).map_err(Error::io(part))?;
        let found: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        if found == *expected {
            return Ok(());
        }
        fs::remove_file(part).map_err(Error::io(part))?;
        Err(self.refused(format!(
            "{} has the digest {found}, the server announced {expected}; the file was removed, try again",
            file.rfilename
        )))
    }

    /// Asks for `url`, from byte `from` on if it is given; statuses other than success are errors.
    fn get(&self, url: &str, from: Option<u64>) -> Result<Response<Body>, Error> {
        let mut request = self.agent.get(url);
        if let Some(token) = &self.server.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        if let Some(from) = from {
            request = request.header("Range", format!("bytes={from}-"));
        }
        let response = request.call().map_err(|e| self.broken(url, e))?;
        let status = response.status();
        match status {
            status if status.is_success() => Ok(response),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(self.refused(format!(
                "{} does not show it ({status}): it does not exist, or it is open only to those who have accepted \
                 its terms there and set HF_TOKEN",
                self.server.endpoint
            ))),
            StatusCode::NOT_FOUND => {
                Err(self.refused(format!("{url} does not exist ({status}); check the id and the revision")))
            }
            status => Err(Error::Network { url: url.to_string(), why: format!("it answered {status}") }),
        }
    }

    /// Makes the revision's name refer to the commit, by one rename.
    fn refer(&self, sha: &str) -> Result<(), Error> {
        let path = self.model.join("refs").join(self.id.revision());
        let folder = path.parent().unwrap_or(&self.model);
        files::create_directories(folder).map_err(Error::io(folder))?;
        files::write(&path, sha.as_bytes()).map_err(Error::io(&path))
    }

    /// The error of a connection that failed.
    fn broken(&self, url: &str, error: ureq::Error) -> Error {
        Error::Network { url: url.to_string(), why: error.to_string() }
    }

    /// The error of a server that does not give this model.
    fn refused(&self, why: String) -> Error {
        Error::Refused { id: self.id.to_string(), why }
    }
}

/// Whether a file belongs to a model as it is read here: in the top folder, no weights in other formats; or a chat
/// template in the folder for more of them.
fn is_wanted(name: &str) -> bool {
    if name == IN_FOLDER {
        return true;
    }
    let plain = !name.starts_with('.') && !name.contains(['/', '\\', ':']);
    let suffix = name.rsplit_once('.').map(|(_, suffix)| suffix);
    plain
        && match suffix {
            Some("safetensors") => name.starts_with("model"),
            Some(suffix) => SUFFIXES.contains(&suffix),
            None => false,
        }
}
