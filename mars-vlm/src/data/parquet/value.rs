//! A row of a table as the JSON object that it would be, with its images in a temporary file.

use crate::Error;
use crate::data::{
    blob::{Blob, BlobWriter},
    sample::ImageRef,
};
use parquet::record::{Field, Row};
use serde_json::{Map, Value};

/// No path and no base64 text contains it, so a text that begins with it refers to an image of the row.
const MARK: char = '\0';

/// The columns of `row`; each of its images becomes a mark that [`restore`] takes back.
///
/// # Errors
/// [`Error::Io`] of the temporary file.
pub(super) fn object(row: &Row, images: &mut Vec<Blob>, writer: &mut BlobWriter) -> Result<Value, Error> {
    let mut object = Map::new();
    for (name, field) in row.get_column_iter() {
        object.insert(name.clone(), value(field, images, writer)?);
    }
    Ok(Value::Object(object))
}

/// One value of a row; numbers and texts as they are, binary as a mark.
fn value(field: &Field, images: &mut Vec<Blob>, writer: &mut BlobWriter) -> Result<Value, Error> {
    Ok(match field {
        Field::Null => Value::Null,
        Field::Bool(value) => (*value).into(),
        Field::Byte(value) => (*value).into(),
        Field::Short(value) => (*value).into(),
        Field::Int(value) => (*value).into(),
        Field::Long(value) => (*value).into(),
        Field::UByte(value) => (*value).into(),
        Field::UShort(value) => (*value).into(),
        Field::UInt(value) => (*value).into(),
        Field::ULong(value) => (*value).into(),
        Field::Float(value) => f64::from(*value).into(),
        Field::Double(value) => (*value).into(),
        Field::Str(text) => text.as_str().into(),
        Field::Bytes(bytes) => {
            images.push(writer.put(bytes.data())?);
            format!("{MARK}{}", images.len() - 1).into()
        }
        Field::Group(row) => object(row, images, writer)?,
        Field::ListInternal(list) => {
            let elements = list.elements().iter().map(|element| value(element, images, writer));
            Value::Array(elements.collect::<Result<_, _>>()?)
        }
        other => other.to_string().into(),
    })
}

/// The image that a mark in `image` refers to; other images as they are.
pub(super) fn restore(image: ImageRef, images: &[Blob]) -> ImageRef {
    let text: &str = match &image {
        ImageRef::Path(text) => text,
        ImageRef::Inline(text) => text,
        ImageRef::Blob(_) => return image,
    };
    let blob = text.strip_prefix(MARK).and_then(|number| images.get(number.parse::<usize>().ok()?));
    blob.map_or(image.clone(), |blob| ImageRef::Blob(blob.clone()))
}
