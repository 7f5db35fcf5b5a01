#pragma once
#include "sdg/model/recognise.h"

namespace sdg::model {
bool is_adm(const Tensors& tensors);
Recognised read_adm(const Tensors& tensors);
}  // namespace sdg::model
