//! torchvision's names for the tensors of a ResNet (`torchvision/models/resnet.py`), in both directions.

use std::collections::BTreeSet;

use burn::store::{ModuleSnapshot, bridge};
use burn::tensor::{Device, TensorData};

use super::{Array, Arrays};
use crate::model::{Architecture, Encoder, Layout, Normalisation, Pretrained, Stem};

/// Tensors by torchvision's names, and the encoder they are of where the file says it.
#[derive(Clone, Debug, Default)]
pub struct StateDict {
    /// The tensors.
    pub tensors: Arrays,
    /// The encoder, as this program's own exports carry it.
    pub architecture: Option<Architecture>,
}

/// An encoder made from a state dict.
#[derive(Debug)]
pub struct Imported {
    /// The encoder with a random projection head.
    pub model: Pretrained,
    /// Its shape.
    pub architecture: Architecture,
    /// Tensors that the encoder has no place for, such as `fc.weight`.
    pub left_out: Vec<String>,
}

/// torchvision's name for a tensor of a network that has these blocks in its groups. The parts that torchvision does not
/// have are named in its manner: `stem.N` for the further convolutions of ResNet-D's stem, `sk` for selective kernels,
/// `head.0` and `head.1` for a classifier's layer before `fc`.
fn name(own: &str, blocks: [usize; 4]) -> String {
    let own = own.strip_prefix("encoder.").unwrap_or(own);
    let mut parts: Vec<String> = own.split('.').map(str::to_owned).collect();
    if let Some("blocks") = parts.first().map(String::as_str) {
        let mut index = parts.get(1).and_then(|index| index.parse().ok()).unwrap_or(0);
        let mut group = 0;
        while group < 3 && index >= blocks[group] {
            index -= blocks[group];
            group += 1;
        }
        parts[0] = format!("layer{}", group + 1);
        parts[1] = index.to_string();
    }
    parts
        .join(".")
        .replace("stem_norm", "bn1")
        .replace("deep_stem.", "stem.")
        .replace("stem.weight", "conv1.weight")
        .replace("norm1", "bn1")
        .replace("norm2", "bn2")
        .replace("last.conv", "conv3")
        .replace("last.norm", "bn3")
        .replace("selective", "sk")
        .replace("shortcut.conv", "downsample.0")
        .replace("shortcut.norm", "downsample.1")
        .replace("head.first.linear", "head.0")
        .replace("head.first.norm", "head.1")
        .replace("head.scores", "fc")
        .replace("gamma", "weight")
        .replace("beta", "bias")
}

/// Returns an encoder's or a classifier's tensors under torchvision's names; PyTorch's linear layers hold theirs
/// transposed.
///
/// # Errors
/// Fails, in words, if the device does not give them.
pub fn state_dict<M: ModuleSnapshot>(
    module: &M,
    architecture: &Architecture,
) -> Result<StateDict, String> {
    let blocks = architecture.blocks()?;
    let mut tensors = Arrays::new();
    for tensor in module.collect(None, None, false) {
        let name = name(&tensor.name, blocks);
        let data = bridge::into_data(tensor).map_err(|error| error.to_string())?;
        let mut shape = data.shape().to_vec();
        let mut values: Vec<f32> = data.try_into_vec().map_err(|error| format!("{error:?}"))?;
        if let [inputs, outputs] = shape[..] {
            values = (0..values.len()).map(|i| values[i % inputs * outputs + i / inputs]).collect();
            shape.reverse();
        }
        tensors.insert(name, Array { shape, values });
    }
    Ok(StateDict { tensors, architecture: Some(architecture.clone()) })
}

/// Makes an encoder from a state dict; `seed` draws the projection head. Without a normalisation, three channels take
/// `ImageNet`'s and one takes none; a file that says which encoder it holds says this too.
///
/// # Errors
/// Fails, in words, if the network is not recognised, or if tensors are missing or of another shape.
pub fn import(
    state: StateDict,
    normalisation: Option<Normalisation>,
    seed: u64,
    device: &Device,
) -> Result<Imported, String> {
    let StateDict { mut tensors, architecture } = state;
    let prefix = prefix(&tensors)?;
    let architecture = match architecture {
        Some(architecture) => architecture,
        None => recognise(&tensors, &prefix, normalisation)?,
    };
    let blocks = architecture.blocks()?;
    let mut model = Pretrained::init(&architecture, seed, device);
    load(&mut model.encoder, &mut tensors, &prefix, blocks)
        .map_err(|fault| format!("for {architecture}, {fault}"))?;
    Ok(Imported { model, architecture, left_out: tensors.into_keys().collect() })
}

/// Gives an encoder its tensors and takes them out of the state dict.
pub(in crate::model) fn load(
    encoder: &mut Encoder,
    tensors: &mut Arrays,
    prefix: &str,
    blocks: [usize; 4],
) -> Result<(), String> {
    let (mut found, mut missing, mut misfits) = (Vec::new(), Vec::new(), Vec::new());
    for own in encoder.collect(None, None, false) {
        let name = format!("{prefix}{}", name(&own.name, blocks));
        match tensors.remove(&name) {
            None => missing.push(name),
            Some(Array { shape, .. }) if shape[..] != own.shape[..] => {
                misfits.push(format!("{name} is {shape:?} and not {:?}", &own.shape[..]));
            }
            Some(Array { shape, values }) => {
                let data = TensorData::new(values, shape);
                found.push(bridge::from_data(data, own.name.clone(), None));
            }
        }
    }
    for (what, names) in [("missing", missing), ("of another shape", misfits)] {
        if let Some(first) = names.first() {
            return Err(format!("{} tensors are {what}, first {first}", names.len()));
        }
    }
    let applied = encoder.apply(found, None, None, false);
    if applied.errors.is_empty() && applied.missing.is_empty() {
        Ok(())
    } else {
        Err(format!("the weights do not fit: {applied}"))
    }
}

/// What stands before every name, such as `module.` or `backbone.`.
fn prefix(tensors: &Arrays) -> Result<String, String> {
    let first = "conv1.weight";
    let mut prefixes = tensors
        .keys()
        .filter_map(|name| name.strip_suffix(first))
        .filter(|prefix| !prefix.contains("layer"));
    prefixes.next().map(str::to_owned).ok_or_else(|| {
        let names: Vec<&str> = tensors.keys().take(3).map(String::as_str).collect();
        format!(
            "it is no ResNet: there is no {first} among {} tensors ({}, …)",
            tensors.len(),
            names.join(", ")
        )
    })
}

/// Tells the network by the names and shapes of its tensors.
fn recognise(
    tensors: &Arrays,
    prefix: &str,
    normalisation: Option<Normalisation>,
) -> Result<Architecture, String> {
    let has = |name: &str| tensors.contains_key(&format!("{prefix}{name}"));
    let shape = tensors.get(&format!("{prefix}conv1.weight")).map_or(&[][..], |it| &it.shape);
    let &[outputs, input_channels, 7, 7] = shape else {
        return Err(format!(
            "its first convolution is {shape:?} and not 7×7, which torchvision's is"
        ));
    };
    let groups: [usize; 4] = std::array::from_fn(|group| {
        let blocks: BTreeSet<&str> = tensors
            .keys()
            .filter_map(|name| {
                name.strip_prefix(prefix)?.strip_prefix(&format!("layer{}.", group + 1))
            })
            .filter_map(|name| name.split('.').next())
            .collect();
        blocks.len()
    });
    let bottleneck = has("layer1.0.conv3.weight");
    let depth = match (groups, bottleneck) {
        ([1, 1, 1, 1], false) => 10,
        ([1, 1, 1, 1], true) => 14,
        ([2, 2, 2, 2], false) => 18,
        ([3, 4, 6, 3], false) => 34,
        ([3, 4, 6, 3], true) => 50,
        ([3, 4, 23, 3], true) => 101,
        ([3, 8, 36, 3], true) => 152,
        _ => {
            let kind = if bottleneck { "bottleneck" } else { "basic" };
            return Err(format!("its depth is not known: {groups:?} {kind} blocks in its groups"));
        }
    };
    let usual = if input_channels == 3 { Normalisation::Imagenet } else { Normalisation::None };
    let architecture = Architecture {
        input_channels,
        layout: Layout::Torchvision,
        normalisation: normalisation.unwrap_or(usual),
        ..Architecture::resnet(depth, outputs as f32 / 64.0, Stem::Standard)
    };
    architecture.blocks()?;
    Ok(architecture)
}
