//! The shape of an encoder, as a model's card and the command line give it.

use std::fmt;
use std::str::FromStr;

use burn::module::{ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::{Encoder, embedding};

/// Selective-kernel ratio of the reference code.
pub const SK_RATIO: f32 = 0.0625;

/// First layers of the encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stem {
    /// 7×7 convolution of stride 2 and 3×3 max pooling of stride 2, for 128 pixels and more. With selective kernels the
    /// convolution is three of 3×3 instead, the first of stride 2 (ResNet-D, He et al.,
    /// <https://arxiv.org/abs/1812.01187>).
    Standard,
    /// 3×3 convolution of stride 2 without pooling, for small films: four times the positions, and the work, of
    /// [`Stem::Standard`] at the same size.
    Small,
    /// 3×3 convolution of stride 1 without pooling, the reference's for 32 pixels and less.
    Cifar,
}

impl FromStr for Stem {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "standard" => Ok(Self::Standard),
            "small" => Ok(Self::Small),
            "cifar" => Ok(Self::Cifar),
            _ => Err("the stem is standard, small or cifar".to_owned()),
        }
    }
}

/// Whose ResNet it is, where the two differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// SimCLR v2's: a projection shortcut in the first block of every group; max pooling padded "same", on even sizes one
    /// row and column at the end only.
    #[default]
    Simclr,
    /// torchvision's: a projection shortcut only where a block changes its input's shape; max pooling padded by one on
    /// all sides.
    Torchvision,
}

/// What a film's values become before the first layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Normalisation {
    /// They stay in 0..=1, as in SimCLR v2.
    #[default]
    None,
    /// Mean and standard deviation of `ImageNet`'s three channels, with which torchvision's weights were trained.
    Imagenet,
}

impl FromStr for Normalisation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            "imagenet" => Ok(Self::Imagenet),
            _ => Err("the normalisation is none or imagenet".to_owned()),
        }
    }
}

/// Shape of an encoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    /// Weight layers: 10, 18 or 34 with basic blocks; 14, 50, 101 or 152 with bottlenecks. 10 and 14 are for tests.
    pub depth: u32,
    /// Multiplier of the channel counts 64, 128, 256 and 512; 1/16 to 4.
    pub width: f32,
    /// First layers.
    pub stem: Stem,
    /// Squeeze of the selective kernels (SK) over their channels; 0 for none. With it come ResNet-D's stem and shortcut.
    #[serde(default)]
    pub sk_ratio: f32,
    /// Channels of the first convolution, 1 or 3; three see the grey film thrice.
    #[serde(default = "grey")]
    pub input_channels: usize,
    /// Whose ResNet it is.
    #[serde(default)]
    pub layout: Layout,
    /// What a film's values become before the first layer.
    #[serde(default)]
    pub normalisation: Normalisation,
}

fn grey() -> usize {
    1
}

impl Architecture {
    /// The least width.
    pub const NARROWEST: f32 = 1.0 / 16.0;

    /// A SimCLR v2 encoder of grey films without selective kernels.
    pub fn resnet(depth: u32, width: f32, stem: Stem) -> Self {
        Self {
            depth,
            width,
            stem,
            sk_ratio: 0.0,
            input_channels: grey(),
            layout: Layout::Simclr,
            normalisation: Normalisation::None,
        }
    }

    /// Blocks in each of the four groups; fails where anything about the architecture is not supported.
    ///
    /// # Errors
    /// Fails, in words, for a depth, a width, channels or a combination that is not supported.
    pub fn blocks(&self) -> Result<[usize; 4], String> {
        if !(Self::NARROWEST..=4.0).contains(&self.width) {
            return Err(format!("a width of {} is not supported; use 0.0625 to 4", self.width));
        }
        if self.sk_ratio != 0.0 {
            if !(0.0..=1.0).contains(&self.sk_ratio) {
                let ratio = self.sk_ratio;
                return Err(format!("a selective-kernel ratio of {ratio} is not in 0..=1"));
            }
            if !self.bottleneck() || self.layout == Layout::Torchvision {
                return Err("selective kernels need bottleneck blocks (50 layers or more) in \
                            SimCLR's layout"
                    .to_owned());
            }
        }
        match self.input_channels {
            3 => {}
            1 if self.normalisation == Normalisation::None => {}
            1 => return Err("ImageNet's normalisation needs three input channels".to_owned()),
            other => return Err(format!("{other} input channels are not supported; use 1 or 3")),
        }
        match self.depth {
            10 | 14 => Ok([1, 1, 1, 1]),
            18 => Ok([2, 2, 2, 2]),
            34 | 50 => Ok([3, 4, 6, 3]),
            101 => Ok([3, 4, 23, 3]),
            152 => Ok([3, 8, 36, 3]),
            depth => Err(format!(
                "a depth of {depth} is not supported; use 10, 14, 18, 34, 50, 101 or 152"
            )),
        }
    }

    /// Whether blocks are of three layers, with four times the channels behind the last.
    pub(super) fn bottleneck(&self) -> bool {
        self.depth == 14 || self.depth >= 50
    }

    /// Whether convolutions have selective kernels.
    pub(super) fn selective(&self) -> bool {
        self.sk_ratio > 0.0
    }

    /// Channels of a group that has `base` channels at width 1.
    pub(super) fn channels(&self, base: usize) -> usize {
        ((base as f32 * self.width).round() as usize).max(1)
    }

    /// Output channels of a group's blocks; groups count from 0.
    pub(super) fn outputs(&self, group: usize) -> usize {
        self.channels(64 << group) * if self.bottleneck() { 4 } else { 1 }
    }

    /// Length of the feature vector.
    pub fn features(&self) -> usize {
        self.outputs(3)
    }

    /// Lengths of the blocks that a row of [`Encoder::embed`] consists of.
    pub fn embedding_blocks(&self) -> [usize; 3] {
        embedding::blocks(self)
    }

    /// Weights of the encoder that training moves; nothing large is allocated for counting them.
    pub fn parameters(&self) -> usize {
        let mut count = Count { total: 0, buffer: false };
        burn::module::Module::visit(&Encoder::init(self, &Device::flex()), &mut count);
        count.total
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sk = if self.selective() { "-SK" } else { "" };
        write!(f, "ResNet-{}{sk} ×{}", self.depth, self.width)
    }
}

/// Counts weights by their shapes, which does not draw them.
struct Count {
    total: usize,
    buffer: bool,
}

impl ModuleVisitor for Count {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.buffer = name.starts_with("running_");
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !self.buffer {
            self.total += param.lazy_shape().num_elements();
        }
    }
}

/// Depth and kind of an encoder, written `resnet18`, `resnet50`, `resnet50-sk` and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Weight layers.
    pub depth: u32,
    /// Whether it has selective kernels.
    pub selective: bool,
}

impl Network {
    /// A SimCLR v2 encoder of this depth and kind.
    pub fn architecture(self, width: f32, stem: Stem) -> Architecture {
        let sk_ratio = if self.selective { SK_RATIO } else { 0.0 };
        Architecture { sk_ratio, ..Architecture::resnet(self.depth, width, stem) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "resnet{}{}", self.depth, if self.selective { "-sk" } else { "" })
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, selective) = match text.strip_suffix("-sk") {
            Some(name) => (name, true),
            None => (text, false),
        };
        let depth = name.strip_prefix("resnet").and_then(|depth| depth.parse().ok());
        let network = Self {
            depth: depth.ok_or("an encoder is named resnet18, 34, 50, 101 or 152; resnet50-sk")?,
            selective,
        };
        network.architecture(1.0, Stem::Standard).blocks()?;
        Ok(network)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The counts of `google-research/simclr`'s table, which count convolutions and the batch norms' scales and shifts.
    #[test]
    fn parameter_counts_are_the_references() {
        for (name, width, channels, expected) in [
            ("resnet18", 1.0, 3, 11_180_736),
            ("resnet50", 1.0, 3, 23_508_032),
            ("resnet50-sk", 1.0, 3, 35_215_584),
            ("resnet50", 2.0, 3, 93_907_072),
            ("resnet50-sk", 2.0, 3, 140_306_048),
            ("resnet18", 1.0, 1, 11_174_464),
            ("resnet50", 1.0, 1, 23_501_760),
        ] {
            let network: Network = name.parse().unwrap();
            assert_eq!(network.to_string(), name);
            let architecture = Architecture {
                input_channels: channels,
                ..network.architecture(width, Stem::Standard)
            };
            assert_eq!(architecture.parameters(), expected, "{architecture}");
        }
        // To the precision with which the reference's README gives them.
        for (name, width, millions) in [("resnet101-sk", 2.0, 257.1), ("resnet152-sk", 3.0, 794.7)]
        {
            let network: Network = name.parse().unwrap();
            let architecture =
                Architecture { input_channels: 3, ..network.architecture(width, Stem::Standard) };
            let counted = architecture.parameters() as f64 / 1e6;
            assert!((counted - millions).abs() < 0.05, "{architecture}: {counted} M");
        }
    }

    /// torchvision's own counts less their last layers of 512 · 1000 + 1000 and 2048 · 1000 + 1000.
    #[test]
    fn torchvisions_counts_differ_by_the_first_groups_projection() {
        for (depth, expected) in
            [(18, 11_689_512 - 513_000), (34, 21_797_672 - 513_000), (50, 25_557_032 - 2_049_000)]
        {
            let architecture = Architecture {
                input_channels: 3,
                layout: Layout::Torchvision,
                ..Architecture::resnet(depth, 1.0, Stem::Standard)
            };
            assert_eq!(architecture.parameters(), expected);
        }
    }

    #[test]
    fn what_is_not_supported_is_said() {
        let plain = Architecture::resnet(18, 1.0, Stem::Standard);
        assert!(plain.blocks().is_ok());
        let fifty = Architecture::resnet(50, 1.0, Stem::Standard);
        for wrong in [
            Architecture { depth: 19, ..plain.clone() },
            Architecture { width: 5.0, ..plain.clone() },
            Architecture { width: f32::NAN, ..plain.clone() },
            Architecture { sk_ratio: SK_RATIO, ..plain.clone() },
            Architecture { sk_ratio: f32::NAN, ..fifty.clone() },
            Architecture { sk_ratio: SK_RATIO, layout: Layout::Torchvision, ..fifty },
            Architecture { input_channels: 2, ..plain.clone() },
            Architecture { normalisation: Normalisation::Imagenet, ..plain },
        ] {
            assert!(wrong.blocks().is_err(), "{wrong:?}");
        }
        for wrong in ["resnet", "resnet18-sk", "resnet19", "vgg16", "resnet50sk", ""] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }

    /// Cards and checkpoints of before there was a choice.
    #[test]
    fn the_first_cards_still_load() {
        let text = r#"{"depth":18,"width":0.25,"stem":"small"}"#;
        let architecture: Architecture = serde_json::from_str(text).unwrap();
        assert_eq!(architecture, Architecture::resnet(18, 0.25, Stem::Small));
        let unknown = r#"{"depth":18,"width":0.25,"stem":"small","groups":2}"#;
        assert!(serde_json::from_str::<Architecture>(unknown).is_err());
    }
}
