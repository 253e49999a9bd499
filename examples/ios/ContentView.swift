// One screen: choose a picture, read the answer. Not built here: see README.md.

import PhotosUI
import SwiftUI

let DISCLAIMER = """
    Research software. Not a medical device: not CE-marked, not cleared or approved by the FDA. Do not use it to \
    diagnose, rule out, triage, prioritise or treat. A qualified reader must read every image without it first.
    """

struct ContentView: View {
    @State private var chosen: PhotosPickerItem?
    @State private var picture: UIImage?
    @State private var words = "Choose a frontal chest radiograph."

    private let classifier = Result { try Classifier() }

    var body: some View {
        VStack(spacing: 16) {
            Text(DISCLAIMER).font(.footnote)
            if let picture {
                Image(uiImage: picture).resizable().scaledToFit()
            }
            Text(words).font(.headline)
            PhotosPicker("Choose a picture", selection: $chosen, matching: .images)
        }
        .padding()
        .task(id: chosen) { await show() }
    }

    private func show() async {
        guard let chosen else { return }
        do {
            guard let data = try await chosen.loadTransferable(type: Data.self),
                  let loaded = UIImage(data: data), let pixels = loaded.cgImage
            else { throw RadiographError.unreadable }
            picture = loaded
            let classifier = try classifier.get()
            switch try classifier.answer(pixels) {
            case .refused(let reason):
                words = "No answer. \(reason)"
            case .decided("normal", _):
                let missed = classifier.card.not_looked_for.joined(separator: "; ")
                words = "No pattern that this model looks for. It does not look for: \(missed)."
            case .decided(let label, let probability):
                words = "\(label): score \(probability.formatted(.number.precision(.fractionLength(2))))"
            }
        } catch {
            words = "This picture could not be read: \(error)"
        }
    }
}
