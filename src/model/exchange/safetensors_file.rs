//! The safetensors format (<https://github.com/huggingface/safetensors>).

use std::collections::HashMap;

use burn::tensor::DType;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::{Array, StateDict, floats};

/// Key of the metadata under which an encoder's shape travels with its weights.
const ARCHITECTURE: &str = "penumbra.architecture";

pub fn read(bytes: &[u8]) -> Result<StateDict, String> {
    let fault = |error: &dyn std::fmt::Display| {
        format!("this is neither a safetensors nor a PyTorch file ({error})")
    };
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| fault(&error))?;
    let file = SafeTensors::deserialize(bytes).map_err(|error| fault(&error))?;
    let mut state = StateDict::default();
    for (name, view) in file.iter() {
        let dtype = match view.dtype() {
            Dtype::F64 => DType::F64,
            Dtype::F32 => DType::F32,
            Dtype::F16 => DType::F16,
            Dtype::BF16 => DType::BF16,
            _ => continue,
        };
        let shape = view.shape().to_vec();
        let values = floats(view.data(), &shape, dtype)
            .map_err(|error| format!("the tensor {name} cannot be read ({error})"))?;
        state.tensors.insert(name.to_owned(), Array { shape, values });
    }
    let text = header.metadata().as_ref().and_then(|metadata| metadata.get(ARCHITECTURE));
    if let Some(text) = text {
        let architecture = serde_json::from_str(text)
            .map_err(|error| format!("its {ARCHITECTURE} is not valid ({error})"))?;
        state.architecture = Some(architecture);
    }
    Ok(state)
}

pub fn write(state: &StateDict) -> Result<Vec<u8>, String> {
    let bytes: Vec<(&String, &Array, Vec<u8>)> = state
        .tensors
        .iter()
        .map(|(name, array)| {
            let bytes = array.values.iter().flat_map(|value| value.to_le_bytes()).collect();
            (name, array, bytes)
        })
        .collect();
    let views = bytes
        .iter()
        .map(|(name, array, bytes)| {
            let view = TensorView::new(Dtype::F32, array.shape.clone(), bytes);
            view.map(|view| (name.as_str(), view)).map_err(|error| format!("{name}: {error}"))
        })
        .collect::<Result<Vec<_>, String>>()?;
    let architecture = state.architecture.as_ref().and_then(|it| serde_json::to_string(it).ok());
    let metadata = architecture.map(|text| HashMap::from([(ARCHITECTURE.to_owned(), text)]));
    safetensors::serialize(views, metadata).map_err(|error| error.to_string())
}
