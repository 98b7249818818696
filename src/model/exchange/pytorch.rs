//! Files that `torch.save` writes since PyTorch 1.6: a zip archive, nothing compressed, with a pickle that describes the
//! tensors and a member for the bytes of each storage.

use std::collections::HashMap;

use rawzip::{CompressionMethod, ZipArchive};

use super::pickle::{self, Tensor, Value};
use super::{Array, Arrays, floats};

/// Names under which checkpoints keep the state dict beside other things.
const NESTED: [&str; 3] = ["state_dict", "model_state_dict", "model"];

pub fn read(bytes: &[u8]) -> Result<Arrays, String> {
    let members = members(bytes)?;
    let find = |name: &str| members.get(name).copied();
    let pickle = find("data.pkl").ok_or("this zip archive holds no data.pkl, as PyTorch writes")?;
    if find("byteorder").is_some_and(|order| order != b"little") {
        return Err("its numbers are big-endian, which is not supported".to_owned());
    }
    let found = pickle::read(pickle)?;
    let tensors = tensors(&found)?;
    let mut arrays = Arrays::new();
    for (name, tensor) in tensors {
        if let Some(array) = array(&tensor, &find)
            .map_err(|fault| format!("the tensor {name} cannot be read ({fault})"))?
        {
            arrays.insert(name, array);
        }
    }
    Ok(arrays)
}

/// Members of the archive by their names below its one folder.
fn members(bytes: &[u8]) -> Result<HashMap<String, &[u8]>, String> {
    let fault = |error: rawzip::Error| format!("this zip archive is damaged ({error})");
    let archive = ZipArchive::from_slice(bytes).map_err(fault)?;
    let mut entries = archive.entries();
    let mut members = HashMap::new();
    while let Some(entry) = entries.next_entry().map_err(fault)? {
        let path = String::from_utf8_lossy(entry.file_path().as_bytes()).into_owned();
        let name = path.split_once('/').map_or(path.as_str(), |(_, name)| name).to_owned();
        let stored = entry.compression_method() == CompressionMethod::STORE;
        let range = archive.get_entry(entry.wayfinder()).map_err(fault)?.compressed_data_range();
        let data = bytes.get(range.0 as usize..range.1 as usize).filter(|_| stored);
        let data = data.ok_or_else(|| format!("its member {name} is compressed or cut off"))?;
        members.insert(name, data);
    }
    Ok(members)
}

/// The tensors of a state dict, which may be nested in a checkpoint.
fn tensors(found: &Value) -> Result<Vec<(String, Tensor)>, String> {
    let not = |what: &str| format!("{what}, not a state dict; save model.state_dict() instead");
    let Value::Dict(items) = found else {
        return Err(match found {
            Value::Object(name) => not(&format!("it holds a pickled {name}")),
            _ => not("it holds a single value"),
        });
    };
    let items = items.borrow();
    let nested = NESTED.iter().find_map(|key| {
        items.iter().find(|(name, value)| name.is_text(key) && matches!(value, Value::Dict(_)))
    });
    if let Some((_, nested)) = nested {
        return tensors(nested);
    }
    let tensors: Vec<_> = items
        .iter()
        .filter_map(|(name, value)| match (name, value) {
            (Value::Text(name), Value::Tensor(tensor)) => {
                Some((name.to_string(), tensor.as_ref().clone()))
            }
            _ => None,
        })
        .collect();
    if tensors.is_empty() { Err(not("it holds a dictionary without tensors")) } else { Ok(tensors) }
}

/// Reads a tensor, row by row whatever its strides are; none if it is not floating-point.
fn array<'a>(
    tensor: &Tensor,
    find: &impl Fn(&str) -> Option<&'a [u8]>,
) -> Result<Option<Array>, String> {
    let Some(dtype) = tensor.dtype else { return Ok(None) };
    let bytes = find(&format!("data/{}", tensor.key)).ok_or("its storage is missing")?;
    let storage = floats(bytes, &[bytes.len() / dtype.size()], dtype)?;
    let shape = tensor.shape.clone();
    let count = shape.iter().try_fold(1_usize, |count, length| count.checked_mul(*length));
    // A tensor that repeats its storage many times over is none of a network's.
    let count = count.filter(|count| *count <= storage.len()).ok_or("its storage is too short")?;
    let mut values = Vec::with_capacity(count);
    let mut index = vec![0; shape.len()];
    for _ in 0..count {
        let steps = index.iter().zip(&tensor.strides);
        let position = steps.fold(tensor.offset, |position, (index, stride)| {
            position.saturating_add(stride.saturating_mul(*index))
        });
        values.push(*storage.get(position).ok_or("it reaches beyond its storage")?);
        for dimension in (0..shape.len()).rev() {
            index[dimension] += 1;
            if index[dimension] < shape[dimension] {
                break;
            }
            index[dimension] = 0;
        }
    }
    Ok(Some(Array { shape, values }))
}
