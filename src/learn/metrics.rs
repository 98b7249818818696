//! stub
use std::fmt;
use serde::{Deserialize, Serialize};
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate { pub value: f64, pub low: f64, pub high: f64 }
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics { pub n: usize, pub accuracy: Estimate, pub auroc: Option<Estimate>, pub balanced_accuracy: f64, pub ece: f64 }
impl Metrics { pub fn of(p: &[f32], t: &[usize], c: usize, pos: usize) -> Self {
  let acc = p.chunks(c).zip(t).filter(|(r,t)| r.iter().enumerate().all(|(i,v)| i==**t || *v <= r[**t])).count() as f64 / t.len() as f64;
  let mut s=0.0; let mut k=0.0; for (i,&a) in t.iter().enumerate(){ if a!=pos {continue;} for (j,&b) in t.iter().enumerate(){ if b==pos {continue;} k+=1.0; let (x,y)=(p[i*c+pos],p[j*c+pos]); s+= if x>y {1.0} else if x==y {0.5} else {0.0}; } }
  Self{n:t.len(), accuracy: Estimate{value:acc,low:acc,high:acc}, auroc: Some(Estimate{value:s/k,low:0.0,high:1.0}), balanced_accuracy: 0.0, ece: 0.0}
}}
impl fmt::Display for Metrics { fn fmt(&self, f:&mut fmt::Formatter<'_>)->fmt::Result{ write!(f,"{:?}",self) } }
pub fn log_loss(p:&[f32], t:&[usize], c:usize)->f64 { p.chunks(c).zip(t).map(|(r,&t)| -f64::from(r[t].max(1e-7)).ln()).sum::<f64>()/t.len() as f64 }
