#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "sdg/core/tensor.h"

namespace sdg::report {

/// One static page that holds its pictures inside itself, so that it opens from disk without a network. All text is
/// escaped.
class HtmlPage {
 public:
  explicit HtmlPage(std::string title) : title_(std::move(title)) {}
  void heading(const std::string& text);
  void paragraph(const std::string& text);
  /// uint8 [C, H, W], shown at its own size in pixels, with a line below.
  void picture(const Tensor& image, const std::string& caption);
  /// Rows of cells; the first row is the heading.
  void table(const std::vector<std::vector<std::string>>& rows);
  /// The whole document.
  std::string text() const;
  void write(const std::filesystem::path& path) const;

 private:
  std::string title_, body_;
};

/// RFC 4648.
std::string base64(const std::string& bytes);
/// & < > " for HTML.
std::string escape_html(const std::string& text);

}  // namespace sdg::report
