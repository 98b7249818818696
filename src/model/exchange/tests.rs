//! Files of other programs: what is in them, and what is said where they are of no use.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;

use super::{Array, StateDict, import, pytorch, read, state_dict, to_safetensors};
use crate::fsutil::write_atomic;
use crate::model::architecture::SK_RATIO;
use crate::model::{Architecture, Classifier, Layout, Normalisation, Stem, seeded};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// `tests/golden/state_dict.py` wrote it.
#[test]
fn a_checkpoint_is_read_as_pytorch_wrote_it() {
    let found = read(&golden("state_dict.pt")).unwrap().tensors;
    let numbers: Vec<f32> = (0..24_u8).map(|i| f32::from(i) / 4.0).collect();
    let strided = (0..24).map(|i| numbers[i % 4 * 6 + i / 4]).collect();
    let expected: [(&str, &[usize], Vec<f32>); 9] = [
        ("plain", &[2, 3, 4], numbers.clone()),
        ("strided", &[6, 4], strided),
        ("slice", &[4], numbers[5..9].to_vec()),
        ("channels_last", &[1, 2, 3, 4], numbers.clone()),
        ("parameter", &[2], numbers[..2].to_vec()),
        ("scalar", &[], vec![-1.5]),
        ("double", &[2], vec![1.0, -2.0]),
        ("half", &[2], vec![0.5, -65504.0]),
        ("brain", &[2], vec![0.5, -3.0]),
    ];
    for (name, shape, values) in &expected {
        let expected = Array { shape: shape.to_vec(), values: values.clone() };
        assert_eq!(found[*name], expected, "{name}");
    }
    assert_eq!(found.len(), expected.len(), "an integer is none of them");
}

#[test]
fn what_is_no_state_dict_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file.pt");
    let fault = |bytes: &[u8]| {
        write_atomic(&file, bytes).unwrap();
        let fault = read(&file).unwrap_err().to_string();
        assert!(fault.ends_with("file.pt"), "{fault}");
        fault
    };
    let module = fs::read(golden("module.pt")).unwrap();
    let said = fault(&module);
    assert!(
        said.contains("torch.nn.modules.linear.Linear") && said.contains("state_dict"),
        "{said}"
    );
    assert!(fault(b"no weights").contains("neither"));
    assert!(fault(b"\x80\x02pickle").contains("before 1.6"));
    assert!(fault(&module[..module.len() / 2]).contains("damaged"));
}

/// A header of 128 bytes begins as a pickle does.
#[test]
fn the_length_of_a_header_is_no_pickle() {
    let mut header = br#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#.to_vec();
    header.resize(0x80, b' ');
    let mut bytes = 0x80_u64.to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.extend(2.5_f32.to_le_bytes());
    let file = tempfile::NamedTempFile::new().unwrap();
    write_atomic(file.path(), &bytes).unwrap();
    assert_eq!(read(file.path()).unwrap().tensors["a"].values, [2.5]);
}

/// A byte that is off is a fault or another value, never a crash.
#[test]
fn damaged_files_do_no_harm() {
    let bytes = fs::read(golden("state_dict.pt")).unwrap();
    let mut faults = 0;
    for position in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[position] ^= 0x41;
        faults += usize::from(pytorch::read(&damaged).is_err());
    }
    assert!(faults > bytes.len() / 20, "only {faults} of {} are noticed", bytes.len());
}

fn architectures() -> [Architecture; 3] {
    let plain = Architecture::resnet(10, 0.125, Stem::Small);
    let torchvision = Architecture {
        layout: Layout::Torchvision,
        input_channels: 3,
        ..Architecture::resnet(14, 0.0625, Stem::Standard)
    };
    let selective =
        Architecture { sk_ratio: SK_RATIO, ..Architecture::resnet(14, 0.125, Stem::Standard) };
    [plain, torchvision, selective]
}

/// Through a file and back; the classifier's own layers are left out again.
#[test]
fn exports_are_imported_unchanged() {
    let device = Device::flex();
    let file = tempfile::NamedTempFile::new().unwrap();
    for architecture in architectures() {
        let mut model = Classifier::init(&architecture, 2, &device);
        seeded::fill(&mut model);
        let exported = state_dict(&model, &architecture).unwrap();
        let scores = &exported.tensors["fc.weight"];
        assert_eq!(scores.shape, [2, architecture.features()]);
        // Rows of PyTorch's weight are columns of ours.
        let own = seeded::array("head.scores.weight", &[architecture.features(), 2]);
        assert_eq!(scores.values[1], own.values[2]);
        write_atomic(file.path(), &to_safetensors(&exported).unwrap()).unwrap();
        let imported = import(read(file.path()).unwrap(), None, 3, &device).unwrap();
        assert_eq!(imported.architecture, architecture);
        assert!(imported.left_out.contains(&"fc.bias".to_owned()));
        assert!(
            imported
                .left_out
                .iter()
                .all(|name| name.starts_with("fc.") || name.starts_with("head."))
        );
        let again = state_dict(&imported.model.encoder, &architecture).unwrap();
        assert!(again.tensors.iter().all(|(name, array)| exported.tensors[name] == *array));
        let films = seeded::films(2, 32, &device);
        let features = |features: burn::tensor::Tensor<2>| -> Vec<f32> {
            features.into_data().try_into_vec().unwrap()
        };
        assert_eq!(
            features(imported.model.encoder.forward(films.clone())),
            features(model.encoder.forward(films))
        );
    }
}

#[test]
fn networks_that_do_not_fit_are_told() {
    let [_, architecture, _] = architectures();
    let model = Classifier::init(&architecture, 2, &Device::flex());
    let whole =
        StateDict { architecture: None, ..state_dict(&model.encoder, &architecture).unwrap() };
    let fault = |change: &dyn Fn(&mut StateDict)| {
        let mut state = whole.clone();
        change(&mut state);
        import(state, None, 0, &Device::flex()).unwrap_err()
    };
    let missing = "layer3.0.bn2.running_var";
    let said = fault(&|state| drop(state.tensors.remove(missing)));
    assert!(said.contains("1 tensors are missing") && said.contains(missing), "{said}");
    let said = fault(&|state| {
        state.tensors.insert("layer1.0.conv2.weight".to_owned(), seeded::array("", &[4, 4, 5, 5]));
    });
    assert!(said.contains("layer1.0.conv2.weight is [4, 4, 5, 5] and not [4, 4, 3, 3]"), "{said}");
    let said = fault(&|state| {
        state.tensors.insert("layer4.1.conv1.weight".to_owned(), seeded::array("", &[4]));
    });
    assert!(said.contains("depth") && said.contains("[1, 1, 1, 2]"), "{said}");
    let said = fault(&|state| {
        state.tensors.insert("conv1.weight".to_owned(), seeded::array("", &[4, 3, 3, 3]));
    });
    assert!(said.contains("not 7×7"), "{said}");
    assert!(fault(&|state| state.tensors.clear()).contains("no ResNet"));
}

/// What trainers put before the names does not matter.
#[test]
fn prefixes_and_normalisation_are_found() {
    let [_, architecture, _] = architectures();
    let model = Classifier::init(&architecture, 2, &Device::flex());
    let state = state_dict(&model.encoder, &architecture).unwrap();
    let tensors =
        state.tensors.into_iter().map(|(name, array)| (format!("module.backbone.{name}"), array));
    let state = StateDict { tensors: tensors.collect(), architecture: None };
    let imported = import(state, None, 0, &Device::flex()).unwrap();
    assert!(imported.left_out.is_empty());
    let imagenet = Normalisation::Imagenet;
    assert_eq!(imported.architecture, Architecture { normalisation: imagenet, ..architecture });
}
