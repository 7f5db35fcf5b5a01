#pragma once
#include <functional>
#include <string>

#include "sdg/checkpoint/checkpoint.h"

/// Is a data set the one that something was made of? Whatever goes by the position of an image asks first.
namespace sdg::checkpoint {

/// Before a run goes on. Throws Error, beginning with `where`, where the images are other ones or stand in another
/// order, and for source label also where classes or labels are; says what differs. Other differences, and that an
/// older checkpoint knows only count and classes, go to `note`.
void check_resumed_data(const CheckpointInfo& before, const sdg::data::Fingerprint& now, const std::string& where,
                        const std::function<void(const std::string&)>& note);

/// Before a command looks at a run's own data, opened anew. Warns of every difference; throws Error where clusters that
/// are stored by position would be read for other images.
void check_own_data(const Trained& trained, const sdg::data::OpenedData& opened);

/// Throws Error where indices or features that were made for `made_for` are to be used for `now`; `what` begins the
/// message ("condition.file: ids.safetensors"), `data` is how it calls the data set. What was made for an unknown one
/// passes.
void check_made_for(const sdg::data::Fingerprint& made_for, const sdg::data::Fingerprint& now, const std::string& what,
                    const std::string& data);

}  // namespace sdg::checkpoint
