//! Applications, web servers, kubelet.
