//! Weights of other programs: state dicts in safetensors and PyTorch files, with torchvision's names.

mod pickle;
mod pytorch;
mod safetensors_file;
#[cfg(test)]
mod tests;
mod torchvision;

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{DType, Shape, TensorData};

#[cfg(test)]
pub(super) use torchvision::load;
pub use torchvision::{Imported, StateDict, import, state_dict};

use super::ModelError;
use crate::fsutil;

/// A tensor of a state dict.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Lengths of its dimensions.
    pub shape: Vec<usize>,
    /// Its values, the last dimension together.
    pub values: Vec<f32>,
}

/// Floating-point tensors by their names.
pub type Arrays = BTreeMap<String, Array>;

/// Reads a state dict from a `.safetensors` or PyTorch file; what it is the content decides. Tensors that are not
/// floating-point, such as `num_batches_tracked`, are left out.
///
/// # Errors
/// Fails if the file cannot be read or holds no state dict.
pub fn read(path: &Path) -> Result<StateDict, ModelError> {
    let bytes = fsutil::read(path)?;
    let state = if bytes.starts_with(b"PK\x03\x04") {
        pytorch::read(&bytes).map(|tensors| StateDict { tensors, architecture: None })
    } else if bytes.first() == Some(&0x80) && bytes.get(8) != Some(&b'{') {
        // A safetensors file begins with the length of its header, of which this may be the first byte.
        Err("this is a pickle, as PyTorch before 1.6 wrote; save it again with torch.save"
            .to_owned())
    } else {
        safetensors_file::read(&bytes)
    };
    state.map_err(|fault| ModelError::Weights { fault, path: path.to_path_buf() })
}

/// Returns a state dict as the bytes of a `.safetensors` file.
///
/// # Errors
/// Fails, in words, if it is too large.
pub fn to_safetensors(state: &StateDict) -> Result<Vec<u8>, String> {
    safetensors_file::write(state)
}

/// Reads little-endian values of a floating-point type.
fn floats(bytes: &[u8], shape: &[usize], dtype: DType) -> Result<Vec<f32>, String> {
    let bytes = burn::tensor::Bytes::from_bytes_vec(bytes.to_vec());
    TensorData::try_from_bytes(bytes, Shape::from(shape.to_vec()), dtype)
        .map(|data| data.convert_dtype(DType::F32))
        .map_err(|error| error.to_string())
        .and_then(|data| data.try_into_vec().map_err(|error| format!("{error:?}")))
}
