//! The one place that chooses a backend: which device computes, and whether it can be trusted.

use std::fmt;
use std::fs;
use std::path::Path;
#[cfg(feature = "gpu")]
use std::sync::OnceLock;

#[cfg(feature = "gpu")]
use burn::backend::{Backend as _, Dispatch};
use burn::tensor::activation::relu;
use burn::tensor::module::{batch_norm_train, conv2d};
use burn::tensor::ops::ConvOptions;
#[cfg(feature = "gpu")]
use burn::tensor::wgpu::wgpu::DeviceType as AdapterType;
use burn::tensor::{Device, Tensor, TensorData};
#[cfg(feature = "gpu")]
use burn::tensor::{DeviceIdentity, DeviceType};
use serde::{Deserialize, Serialize};

/// What the user asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceChoice {
    /// A hardware GPU if there is one that computes correctly, else the CPU.
    #[default]
    Auto,
    /// A hardware GPU, or an error that says why not.
    Gpu,
    /// The CPU.
    Cpu,
}

impl std::str::FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "gpu" => Ok(Self::Gpu),
            "cpu" => Ok(Self::Cpu),
            _ => Err("the device is auto, gpu or cpu".to_owned()),
        }
    }
}

/// Why a device cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DeviceError {
    /// The program was built without GPU support.
    #[error("this build of Penumbra has no GPU support; use --device cpu")]
    NotBuilt,
    /// No adapter could be opened.
    #[error("no GPU could be opened ({0}); use --device cpu")]
    Unavailable(String),
    /// The adapter is a program that imitates a GPU.
    #[error(
        "the only graphics adapter is a software one ({0}), slower than the CPU itself; use --device cpu"
    )]
    Software(String),
    /// More GPUs were asked for than there are.
    #[error("{asked} GPUs were asked for by --devices and there are {found}")]
    TooFew {
        /// GPUs asked for.
        asked: usize,
        /// Hardware GPUs found.
        found: usize,
    },
    /// The numeric self-test failed.
    #[error("the GPU {name} computes wrongly ({fault}) and is not used; use --device cpu")]
    SelfTest {
        /// Adapter name.
        name: String,
        /// What differed.
        fault: String,
    },
}

/// An opened device.
#[derive(Clone, Debug)]
pub struct Compute {
    /// The device that every tensor is made on.
    pub device: Device,
    /// Its name, as `doctor` and the window show it.
    pub name: String,
    /// Threads that compute on the CPU beside a window, at least 1.
    pub threads: usize,
}

impl fmt::Display for Compute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Opens a device, which for a GPU includes a numeric self-test.
///
/// Call it before any window exists: Vulkan loaders crash when instances come and go on several threads at once.
///
/// # Errors
/// Fails only if a GPU was asked for by name and there is none that can be trusted.
pub fn open(choice: DeviceChoice) -> Result<Compute, DeviceError> {
    match choice {
        DeviceChoice::Cpu => Ok(cpu()),
        DeviceChoice::Gpu => gpu(),
        DeviceChoice::Auto => Ok(gpu().unwrap_or_else(|reason| {
            tracing::info!("computing on the CPU: {reason}");
            cpu()
        })),
    }
}

/// Opens the CPU backend.
pub fn cpu() -> Compute {
    let threads = cores().saturating_sub(1).max(1);
    Compute { device: Device::flex(), name: format!("CPU ({} cores)", cores()), threads }
}

/// Whether tensors of `device` live on the CPU backend.
pub fn is_cpu(device: &Device) -> bool {
    device.clone().without_autodiff() == Device::flex()
}

/// Opens the first hardware GPU and checks that it computes correctly; its name says which graphics API and which kernels
/// it uses. Later calls return what the first one found, since a process can open an adapter only once.
///
/// # Errors
/// Fails if there is none, if it is a software adapter, or if its numbers are wrong.
#[cfg(feature = "gpu")]
pub fn gpu() -> Result<Compute, DeviceError> {
    static FOUND: OnceLock<Result<Compute, DeviceError>> = OnceLock::new();
    FOUND.get_or_init(open_gpu).clone()
}

#[cfg(feature = "gpu")]
fn open_gpu() -> Result<Compute, DeviceError> {
    let (device, setup) = Device::wgpu_options()
        .init_with_setup()
        .map_err(|error| DeviceError::Unavailable(error.to_string()))?;
    let adapter = setup.adapter.get_info();
    let name = format!("{}, {:?}, {} kernels", adapter.name, adapter.backend, language(&device));
    // Before the first kernel runs: SPIR-V ones crash software adapters.
    if adapter.device_type == AdapterType::Cpu {
        return Err(DeviceError::Software(name));
    }
    self_test(&device).map_err(|fault| DeviceError::SelfTest { name: name.clone(), fault })?;
    Ok(Compute { device, name, threads: 1 })
}

/// Returns the language that kernels for `device` are compiled to, which depends on the build and on the adapter.
#[cfg(feature = "gpu")]
fn language(device: &Device) -> &'static str {
    // Such as `dispatch<fusion<cubecl<wgpu<wgsl>>>>`.
    let runtime = Dispatch::name(device.as_dispatch());
    let known = [("wgpu<spirv>", "SPIR-V"), ("wgpu<msl>", "MSL"), ("wgpu<wgsl>", "WGSL")];
    known.iter().find(|(name, _)| runtime.contains(name)).map_or("unknown", |(_, name)| name)
}

/// Opens the first hardware GPU.
///
/// # Errors
/// Always: this build has no GPU support.
#[cfg(not(feature = "gpu"))]
pub fn gpu() -> Result<Compute, DeviceError> {
    Err(DeviceError::NotBuilt)
}

/// Opens `count` devices of the kind of one that is open, itself the first.
///
/// More than one CPU "device" is the same CPU again: it gains nothing and shows that the work can be shared out.
///
/// # Errors
/// Fails if there are fewer, or if one computes wrongly.
pub fn several(first: &Compute, count: usize) -> Result<Vec<Device>, DeviceError> {
    if is_cpu(&first.device) {
        return Ok(vec![first.device.clone(); count]);
    }
    more_gpus(first, count)
}

#[cfg(feature = "gpu")]
fn more_gpus(first: &Compute, count: usize) -> Result<Vec<Device>, DeviceError> {
    let mut devices = vec![first.device.clone()];
    let found = Device::enumerate(DeviceType::Wgpu).into_iter();
    for device in found {
        // One card may be listed once for each graphics interface, and a rasteriser has no card.
        let Some(DeviceIdentity { name, physical: Some(card), .. }) = device.identity() else {
            continue;
        };
        let is_open = |open: &Device| {
            let identity = open.identity().and_then(|identity| identity.physical);
            identity.is_some_and(|open| open.is_same_card(&card))
        };
        if devices.len() < count && !devices.iter().any(is_open) {
            self_test(&device).map_err(|fault| DeviceError::SelfTest { name, fault })?;
            devices.push(device);
        }
    }
    if devices.len() < count {
        return Err(DeviceError::TooFew { asked: count, found: devices.len() });
    }
    Ok(devices.into_iter().take(count).collect())
}

#[cfg(not(feature = "gpu"))]
fn more_gpus(_: &Compute, _: usize) -> Result<Vec<Device>, DeviceError> {
    Err(DeviceError::NotBuilt)
}

/// Number of cores that this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Bytes that this process may still take before the machine, or the limit of its control group, is full; none where the
/// system does not tell, which only Linux does (`/proc/meminfo`, and `memory.max` of version 2 of control groups).
pub fn available_memory() -> Option<u64> {
    let free = kib("/proc/meminfo", "MemAvailable:")?;
    let of_group = |file: &str| {
        fs::read_to_string(Path::new("/sys/fs/cgroup").join(file)).ok()?.trim().parse::<u64>().ok()
    };
    // Without a limit the file says "max", which is no number.
    let limit = of_group("memory.max").zip(of_group("memory.current"));
    Some(limit.map_or(free, |(most, held)| free.min(most.saturating_sub(held))))
}

/// Bytes that this process holds in memory; none where the system does not tell.
pub fn resident_memory() -> Option<u64> {
    kib("/proc/self/status", "VmRSS:")
}

/// The most bytes that this process has held; none where the system does not tell.
pub fn peak_memory() -> Option<u64> {
    kib("/proc/self/status", "VmHWM:")
}

/// A line of a file of the kernel's, which gives KiB, in bytes.
fn kib(file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Makes the calling thread the home of the CPU backend's thread pool, so that its work runs on `threads` threads and
/// leaves the process's global pool alone. Lowers the priority of those threads if `background`.
///
/// The thread that calls this is to own every tensor from then on.
///
/// # Errors
/// Fails if the pool's threads cannot be started.
pub fn enter_compute_pool(
    threads: usize,
    background: bool,
) -> Result<(), rayon::ThreadPoolBuildError> {
    let lower = move || {
        if background {
            // Linux gives each thread its own nice value; the window then always comes first.
            rustix::process::nice(10).ok();
        }
    };
    lower();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads.max(1))
        .thread_name(|index| format!("compute-{index}"))
        .start_handler(move |index| {
            if index > 0 {
                lower();
            }
        })
        .use_current_thread()
        .build()?;
    // The pool must live as long as its first thread, which is this one.
    std::mem::forget(pool);
    Ok(())
}

/// Runs one convolution, batch norm and ReLU forward and backward and compares with the CPU backend.
///
/// # Errors
/// Returns in words what differed.
pub fn self_test(device: &Device) -> Result<(), String> {
    let expected = probe(&Device::flex())?;
    let found = probe(device)?;
    for ((what, expected), (_, found)) in expected.iter().zip(&found) {
        let scale = expected.iter().fold(1e-3_f32, |scale, value| scale.max(value.abs()));
        let worst =
            expected.iter().zip(found).fold(0.0_f32, |worst, (a, b)| worst.max((a - b).abs()));
        let whole = found.len() == expected.len() && found.iter().all(|value| value.is_finite());
        if !whole || worst > 1e-3 * scale {
            return Err(format!("{what} off by {worst:.2e} at a scale of {scale:.2e}"));
        }
    }
    Ok(())
}

type Probe = Vec<(&'static str, Vec<f32>)>;

fn probe(device: &Device) -> Result<Probe, String> {
    let device = device.clone().autodiff();
    let ramp =
        |count: usize, step: f32| (0..count).map(|i| (i as f32 * step).sin()).collect::<Vec<f32>>();
    let input =
        Tensor::<4>::from_data(TensorData::new(ramp(4 * 3 * 9 * 9, 0.37), [4, 3, 9, 9]), &device);
    let weight =
        Tensor::<4>::from_data(TensorData::new(ramp(8 * 3 * 3 * 3, 0.71), [8, 3, 3, 3]), &device)
            .require_grad();
    let gamma = Tensor::<1>::ones([8], &device).require_grad();
    let beta = Tensor::<1>::zeros([8], &device).require_grad();
    let options = ConvOptions::new([2, 2], [1, 1], [1, 1], 1);
    let hidden = conv2d(input, weight.clone(), None, options);
    let output = relu(batch_norm_train(hidden, gamma.clone(), beta.clone(), 1e-5).output);
    let loss = (output.clone() * output.clone()).mean() + output.mean();
    let gradients = loss.backward();
    let read = |what: &'static str, tensor: Option<TensorData>| {
        let data = tensor.ok_or_else(|| format!("{what} is missing"))?;
        let values =
            data.try_to_vec::<f32>().map_err(|error| format!("{what} cannot be read: {error}"))?;
        Ok::<_, String>((what, values))
    };
    let data = |tensor: Tensor<1>| tensor.try_into_data().ok();
    Ok(vec![
        read("the loss", loss.try_into_data().ok())?,
        read(
            "the weight gradient",
            weight.grad(&gradients).and_then(|grad| grad.try_into_data().ok()),
        )?,
        read("the scale gradient", gamma.grad(&gradients).and_then(data))?,
        read("the shift gradient", beta.grad(&gradients).and_then(data))?,
    ])
}
