//! Where the images of a data set lie: a folder, or a zip archive.

use super::{
    format::{Format, locate},
    image::{self, Header, LONGEST, RgbImage},
    noted::{Failures, Noted},
    sample::ImageRef,
    science_qa,
};
use crate::Error;
use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use mars_lora::stored::regular;
use std::{
    collections::HashMap,
    fs::{self, File},
    io::{BufReader, ErrorKind, Read},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};
use zip::ZipArchive;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A folder or zip archive of images, opened once and read from any thread.
///
/// Images are not kept in memory: each call reads the one image that it is asked for. Their digests (32 bytes each)
/// are, from the first time that an image is read for whatever purpose: an image that changes on disk while the store
/// is open keeps its first digest.
///
/// A name is looked for as it is, relative to the folder or in the archive; where all files of an archive share one
/// top folder, also without it. Images longer than 512 MiB are neither read nor unpacked, and images of more than
/// 89,478,485 pixels not decoded: both are told before, by the file or its header.
#[derive(Debug)]
pub struct ImageStore {
    path: PathBuf,
    archive: Option<Archive>,
    digests: Mutex<HashMap<ImageRef, [u8; 32]>>,
}

#[derive(Debug)]
struct Archive {
    zip: Mutex<ZipArchive<Noted<BufReader<File>>>>,
    failures: Failures,
    /// Position by name; names under a single top folder also without it.
    names: HashMap<String, usize>,
}

impl ImageStore {
    /// Opens `path`, a folder or a `.zip` file.
    ///
    /// # Errors
    /// [`Error::Io`] if there is nothing, [`Error::Malformed`] for a file that is no zip archive.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let path_buf = path.to_path_buf();
        if fs::metadata(path).map_err(Error::io(path))?.is_dir() {
            return Ok(Self { path: path_buf, archive: None, digests: Mutex::default() });
        }
        crate::foreign::check(path)?;
        let file = regular::open(path).map_err(Error::io(path))?;
        let (file, failures) = Noted::new(BufReader::new(file));
        let zip = ZipArchive::new(file);
        // A disk that cannot be read is no broken archive.
        failures.take().map_or(Ok(()), |e| Err(Error::io(path)(e)))?;
        let zip = zip.map_err(|e| {
            Error::malformed(path, format!("no zip archive: {e}"), "give a folder or a .zip file of images")
        })?;
        let names = names(&zip);
        let archive = Some(Archive { zip: Mutex::new(zip), failures, names });
        Ok(Self { path: path_buf, archive, digests: Mutex::default() })
    }

    /// Opens the images of `data_file`: `images` if given, otherwise the folder of the file, or of the data set; of
    /// ScienceQA the folder `images` in it.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub fn for_data(data_file: &Path, images: Option<&Path>) -> Result<Self, Error> {
        if let Some(images) = images {
            return Self::open(images);
        }
        let (data, _) = locate(data_file)?;
        let kind = regular::kind(&data).map_err(Error::io(&data))?;
        if kind.is_some() && Format::detect(&data)? == Format::ScienceQa {
            return Self::open(&science_qa::images(&data)?);
        }
        if kind.is_some_and(|kind| kind.is_dir()) {
            return Self::open(&data);
        }
        let beside = data.parent().filter(|path| !path.as_os_str().is_empty());
        Self::open(beside.unwrap_or(Path::new(".")))
    }

    /// The folder or archive.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Decodes an image to RGB.
    /// Upright 8-bit RGB, `[height, width, 3]`; at most 89,478,485 pixels, above which Pillow warns.
    ///
    /// # Errors
    /// [`Error::ImageMissing`], [`Error::ImageDecode`], [`Error::Io`].
    pub fn load(&self, image: &ImageRef) -> Result<RgbImage, Error> {
        image::decode(&self.read(image)?).map_err(|why| self.undecodable(image, why))
    }

    /// Width and height of an image in pixels, read from its header.
    ///
    /// # Errors
    /// As for [`Self::load`].
    pub fn size(&self, image: &ImageRef) -> Result<(usize, usize), Error> {
        self.header(image).map(|header| header.size)
    }

    /// BLAKE3 hash of the encoded bytes: equal for copies of one file under several names. An image is read for it only
    /// if it was not read whole before.
    ///
    /// # Errors
    /// [`Error::ImageMissing`], [`Error::ImageDecode`] for bad base64, [`Error::Io`].
    pub fn fingerprint(&self, image: &ImageRef) -> Result<[u8; 32], Error> {
        match self.digest(image) {
            Some(digest) => Ok(digest),
            None => Ok(self.remember(image, &self.bytes(image)?)),
        }
    }

    /// The digest of an image that was read before.
    fn digest(&self, image: &ImageRef) -> Option<[u8; 32]> {
        self.digests.lock().unwrap_or_else(PoisonError::into_inner).get(image).copied()
    }

    /// The bytes of an image, whose digest is kept if it is not known yet.
    fn read(&self, image: &ImageRef) -> Result<Vec<u8>, Error> {
        let bytes = self.bytes(image)?;
        if self.digest(image).is_none() {
            self.remember(image, &bytes);
        }
        Ok(bytes)
    }

    /// Hashes the bytes of an image and keeps the digest.
    fn remember(&self, image: &ImageRef, bytes: &[u8]) -> [u8; 32] {
        let digest = blake3::hash(bytes).into();
        self.digests.lock().unwrap_or_else(PoisonError::into_inner).insert(image.clone(), digest);
        digest
    }

    /// Size and kind of an image, without decoding it.
    ///
    /// # Errors
    /// As for [`Self::load`], except for defects in the pixel data.
    pub(crate) fn header(&self, image: &ImageRef) -> Result<Header, Error> {
        image::header(&self.read(image)?).map_err(|why| self.undecodable(image, why))
    }

    fn bytes(&self, image: &ImageRef) -> Result<Vec<u8>, Error> {
        let name = match image {
            ImageRef::Path(name) => name,
            ImageRef::Inline(text) => {
                let text: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
                return BASE64.decode(text).map_err(|e| self.undecodable(image, format!("not base64: {e}")));
            }
            #[cfg(feature = "parquet")]
            ImageRef::Blob(blob) => return blob.bytes(),
        };
        match &self.archive {
            Some(archive) if !Path::new(name).is_absolute() => self.unzip(archive, image, name),
            _ => {
                let path = self.path.join(name);
                match regular::read(&path, LONGEST) {
                    Ok(bytes) => Ok(bytes),
                    Err(e) => Err(match e.kind() {
                        _ if e.get_ref().is_none() && is_no_file(&e) => self.missing(image),
                        ErrorKind::IsADirectory | ErrorKind::InvalidInput | ErrorKind::FileTooLarge => {
                            self.undecodable(image, e.to_string())
                        }
                        _ => Error::io(&path)(e),
                    }),
                }
            }
        }
    }

    fn unzip(&self, archive: &Archive, image: &ImageRef, name: &str) -> Result<Vec<u8>, Error> {
        let name = name.replace('\\', "/");
        let at = archive.names.get(name.trim_start_matches("./")).ok_or_else(|| self.missing(image))?;
        let mut zip = archive.zip.lock().unwrap_or_else(PoisonError::into_inner);
        let broken =
            |e: String| Error::malformed(&self.path, format!("{name}: {e}"), "pack the archive again");
        let failed = |e: String| match archive.failures.take() {
            Some(e) => Error::io(&self.path)(e),
            None => broken(e),
        };
        let file = zip.by_index(*at).map_err(|e| failed(e.to_string()))?;
        let length = file.size();
        if length > LONGEST {
            return Err(broken(format!(
                "{length} bytes when it is unpacked, more than the {LONGEST} that are read"
            )));
        }
        let mut bytes = Vec::new();
        // Exactly, as doubling what is there could take twice as much.
        bytes.try_reserve_exact(length as usize).map_err(|e| broken(e.to_string()))?;
        // What it unpacks to may be more than the archive says.
        let count = file.take(length + 1).read_to_end(&mut bytes).map_err(|e| failed(e.to_string()))?;
        if count as u64 != length {
            return Err(broken(format!("it unpacks to other than the {length} bytes that the archive says")));
        }
        Ok(bytes)
    }

    fn missing(&self, image: &ImageRef) -> Error {
        let remedy = if self.archive.is_some() {
            "names are relative to the root of the archive"
        } else {
            "paths are relative to the image folder: name the right one"
        };
        Error::ImageMissing {
            image: image.to_string(),
            store: self.path.display().to_string(),
            remedy: remedy.into(),
        }
    }

    fn undecodable(&self, image: &ImageRef, why: String) -> Error {
        Error::ImageDecode { image: image.to_string(), store: self.path.display().to_string(), why }
    }
}

/// Positions by name; where all files share one top folder, names without it are known too.
fn names<R: Read + std::io::Seek>(zip: &ZipArchive<R>) -> HashMap<String, usize> {
    let files: Vec<(usize, &str)> = zip
        .file_names()
        .filter(|name| !name.ends_with('/'))
        .filter_map(|n| Some((zip.index_for_name(n)?, n)))
        .collect();
    let mut names: HashMap<String, usize> = HashMap::with_capacity(files.len());
    let tops: Option<Vec<(&str, &str)>> = files.iter().map(|(_, name)| name.split_once('/')).collect();
    if let Some(tops) = tops
        && tops.windows(2).all(|pair| pair[0].0 == pair[1].0)
    {
        names.extend(files.iter().zip(&tops).map(|((at, _), (_, rest))| (rest.to_string(), *at)));
    }
    names.extend(files.iter().map(|(at, name)| (name.to_string(), *at)));
    names
}

/// Whether an error says that there is no file of a name, be it one that no file can have, or links that lead to each
/// other.
fn is_no_file(error: &std::io::Error) -> bool {
    #[cfg(unix)]
    if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
        return true;
    }
    regular::is_absence(error) || error.kind() == ErrorKind::InvalidInput
}
