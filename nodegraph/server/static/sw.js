(function() {
	// src/pwa/shell.ts
	var PREFIX = "nodegraph-shell";
	/** Addresses of the page below the worker's own. */
	var PAGES = /* @__PURE__ */ new Set(["", "generate"]);
	/** Files beside the page that keep their name when they change. */
	var NAMED = [
		"favicon.svg",
		"manifest.webmanifest",
		"icon-192.png",
		"icon-512.png"
	];
	/** What a proxy says of a server that is away. */
	var AWAY = /* @__PURE__ */ new Set([
		502,
		503,
		504
	]);
	/** Files that are fetched at once: the page has work of its own meanwhile. */
	var AT_ONCE = 4;
	function startShell(scope, { build, files }) {
		const base = new URL("./", scope.location.href).href;
		const prefix = `${PREFIX} ${base} `;
		const name = prefix + build;
		scope.addEventListener("install", (event) => event.waitUntil(keepAll().then(() => scope.skipWaiting())));
		scope.addEventListener("activate", (event) => event.waitUntil(dropOld().then(() => scope.clients.claim())));
		scope.addEventListener("fetch", (event) => {
			const answer = answerOf(event.request);
			if (answer !== null) event.respondWith(answer);
		});
		function answerOf(request) {
			if (request.method !== "GET" || !request.url.startsWith(base)) return null;
			const path = new URL(request.url).pathname.slice(new URL(base).pathname.length);
			if (request.mode === "navigate") return PAGES.has(path) ? newest(request, base) : null;
			if (path.startsWith("assets/")) return keptOr(request);
			return NAMED.includes(path) ? newest(request, request.url) : null;
		}
		/** From the server; what is kept where that is away. */
		async function newest(request, key) {
			const kept = () => keptIn(name, key);
			try {
				const answer = await scope.fetch(request);
				return AWAY.has(answer.status) ? await kept() ?? answer : answer;
			} catch (error) {
				const answer = await kept();
				if (answer === void 0) throw error;
				return answer;
			}
		}
		/** What is kept of any build, for its name tells its content; else from the server. */
		async function keptOr(request) {
			return await keptFile(request.url) ?? scope.fetch(request);
		}
		async function keptFile(url) {
			for (const key of await ownCaches()) {
				const found = await keptIn(key, url);
				if (found !== void 0) return found;
			}
		}
		function keptIn(cacheName, url) {
			return scope.caches.match(url, {
				...LOOSELY,
				cacheName
			});
		}
		/** Keep all of this build, or nothing: half a page would be worse than none. */
		async function keepAll() {
			if (await keptIn(name, base) !== void 0) return;
			try {
				const page = await fetched(base, "no-cache");
				checkPage(await page.clone().text(), files);
				const cache = await scope.caches.open(name);
				const left = [...files, ...NAMED];
				const work = async () => {
					for (let path = left.pop(); path !== void 0; path = left.pop()) {
						const url = base + path;
						const isHashed = path.startsWith("assets/");
						const known = isHashed ? await keptFile(url) : void 0;
						await cache.put(url, known ?? await fetched(url, isHashed ? "default" : "no-cache"));
					}
				};
				await Promise.all(Array.from({ length: AT_ONCE }, work));
				await cache.put(base, page);
			} catch (error) {
				await scope.caches.delete(name);
				throw error;
			}
		}
		/** An answer that is what was asked for: one to log in, or of a proxy, isn't. */
		async function fetched(url, cache) {
			const answer = await scope.fetch(url, {
				cache,
				credentials: "same-origin"
			});
			if (!answer.ok || answer.redirected) throw new Error(`${url} answered ${answer.status}`);
			return answer;
		}
		/** The caches of this server, the newest first. */
		async function ownCaches() {
			return (await scope.caches.keys()).filter((key) => key.startsWith(prefix)).reverse();
		}
		async function dropOld() {
			const others = (await ownCaches()).filter((key) => key !== name);
			for (const key of others.slice(1)) await scope.caches.delete(key);
		}
	}
	/** The same file comes packed in several ways, and a page's address may carry a question. */
	var LOOSELY = {
		ignoreVary: true,
		ignoreSearch: true
	};
	/** Names of the files that a page loads first, below its own address. */
	function filesOf(page) {
		return [...page.matchAll(/(?:src|href)="[^"]*?(assets\/[\w.-]+)"/g)].map(([, path = ""]) => path);
	}
	/** The page that the server has just now must be of this build. */
	function checkPage(page, files) {
		const strange = filesOf(page).find((path) => !files.includes(path));
		if (strange !== void 0) throw new Error(`${strange} is of another build`);
	}
	// src/pwa/worker.ts
	/** The service worker: built by itself into `sw.js`, see scripts/serviceWorker.ts. */
	startShell(self, {
		build: "45efdb162abd2a5c",
		files: [
			"assets/AboutDialog-BH65MNP6.js",
			"assets/AboutDialog-BLsAZFnH.css",
			"assets/AppMode-BB0ssaVm.css",
			"assets/AppMode-DeL9SWiQ.js",
			"assets/CardPlayer-BLzQKzUg.css",
			"assets/CardPlayer-B_E1MGgI.js",
			"assets/CommentsPanel-Bs4-RN-u.js",
			"assets/CommentsPanel-DsPAkIiz.css",
			"assets/Completing-BigNVN-l.js",
			"assets/FailureDialog-BUz8SToB.css",
			"assets/FailureDialog-CqS7XOx_.js",
			"assets/FileView-C8eX1nm3.js",
			"assets/FrameSteps-CqRXk5Rq.js",
			"assets/GalleryPanel--yjHwNdf.js",
			"assets/GalleryPanel-DlAKDohi.css",
			"assets/GeneratePage-DEeALghJ.css",
			"assets/GeneratePage-S5GYpMqe.js",
			"assets/GeneratePage-rOjLiu-y.css",
			"assets/GeneratePage.module-BB7S_THc.js",
			"assets/GetModels-0Olq9xak.css",
			"assets/GetModels-IQj7KHUa.js",
			"assets/GetModelsDialog-B9Pna9x4.js",
			"assets/GridDialog-BB2-wwqo.css",
			"assets/GridDialog-VIN_St4U.js",
			"assets/HelpPanel-BGJogdeb.js",
			"assets/HelpPanel-DcaHd0j0.css",
			"assets/HistoryPanel-CBXjZVST.css",
			"assets/HistoryPanel-DEV_2ocn.js",
			"assets/InspectorPanel-CWkpfNyj.css",
			"assets/InspectorPanel-DVSTvF86.js",
			"assets/InstallPack-T7jcysLx.js",
			"assets/LackingDialog-CgsAn6uQ.js",
			"assets/LessonHost-DlZDHMbt.js",
			"assets/LessonHost-p8QkUvIy.css",
			"assets/License-ChsO7aGu.css",
			"assets/License-JfgtqVLj.js",
			"assets/LivePlot-C_vO9quz.js",
			"assets/LivePlotDialog-2DFMTqu5.js",
			"assets/Marks-BDqSMrQz.css",
			"assets/Marks-D-G4wJrP.js",
			"assets/MaskDialog-Bq1l8RJV.js",
			"assets/MaskDialog-PzaAcCfv.css",
			"assets/MissingDialog-Db3yLhhX.js",
			"assets/ModelsPanel-BuHRhjkV.css",
			"assets/ModelsPanel-ekSzBGHu.js",
			"assets/MoleculeView-D5xVxSZR.js",
			"assets/MoleculeView-cwxGmPwl.css",
			"assets/NodePresetsDialog-BCis_TyJ.js",
			"assets/NodePresetsDialog-CN1B1lpS.css",
			"assets/OpenDialog-CoMke-x3.css",
			"assets/OpenDialog-D5dh07z7.js",
			"assets/OrganizeDialog-Cntvtwi6.js",
			"assets/PackPanel-BwI4Oy48.css",
			"assets/PackPanel-DqVRmFd-.js",
			"assets/PacksDialog-B-4kpPmG.css",
			"assets/PacksDialog-T9XYpLnh.js",
			"assets/PaintingView-dROGXEAg.js",
			"assets/PaintingView-vwScJV5K.css",
			"assets/PalettePanel-CeXueHE0.js",
			"assets/PalettePanel-XJSsuStS.css",
			"assets/ParametersPanel-BIZxMyTR.js",
			"assets/ParametersPanel-DUQYWiXy.css",
			"assets/PlotFile-CgOrFVOb.js",
			"assets/PlotView-DJGffFvb.js",
			"assets/PlotView-DfOGfp91.css",
			"assets/Presence-DnF98-u1.js",
			"assets/Presence-UshiLqxF.css",
			"assets/ProblemHelp-CJJQKKDF.js",
			"assets/ProblemHelp-WZ4r24xo.css",
			"assets/ProblemsPanel-CWciQVSB.css",
			"assets/ProblemsPanel-DdEZyt3x.js",
			"assets/QueuePanel-DJU5SmuH.css",
			"assets/QueuePanel-DhHp2xjw.js",
			"assets/ResultPanel-Bbn9S1mi.css",
			"assets/ResultPanel-eg8Sow-P.js",
			"assets/RowsDialog-BYNMRjMh.js",
			"assets/RowsDialog-COdhZ5qf.css",
			"assets/SaveAsDialog-BkP6K3Fc.css",
			"assets/SaveAsDialog-NCCpBh7K.js",
			"assets/Section-6OBfGFQc.js",
			"assets/Section-DGLvzWe1.css",
			"assets/SendDialog-BC3KcjUP.js",
			"assets/SendDialog-Zi8I-Aw1.css",
			"assets/SettingsDialog-BbNln1ws.js",
			"assets/SettingsDialog-D--EpzHH.css",
			"assets/ShapeView-Cuz0Qrqc.js",
			"assets/ShareDialog-AbKx7ioE.js",
			"assets/ShareDialog-B9tr0OoE.css",
			"assets/ShortcutsDialog-BECxpEKh.js",
			"assets/ShortcutsDialog-C7QcByMo.css",
			"assets/SmallPlot-0CvzFs1x.js",
			"assets/SoundPlayer-Bw6C_m5Z.js",
			"assets/SoundPlayer-DaSCWQbY.css",
			"assets/SpaceStage-CvccLuAi.js",
			"assets/SpaceStage-WTWaF1eO.css",
			"assets/Stars-Ba5KfKbO.js",
			"assets/Stars-Bya5qWik.css",
			"assets/SweepDialog-CNwfayIt.js",
			"assets/SweepDialog-D--Dbub8.css",
			"assets/TextFile-CgynBcY7.js",
			"assets/ToolFields-BrxoZMy2.css",
			"assets/ToolFields-CNtY0Tt6.js",
			"assets/TranslatedDialog-xP7pzYKv.js",
			"assets/VideoPlayer-DaGoCEtQ.js",
			"assets/VideoPlayer-OtnyzFI7.css",
			"assets/Viewer-BaKI-l6j.css",
			"assets/Viewer-Betk-itQ.js",
			"assets/actions-nYDbbWsb.js",
			"assets/browser-CNUOa7fH.js",
			"assets/bytes-mA_wSl9b.js",
			"assets/chooseFile-qXRWmMfJ.js",
			"assets/de-D07tKtbp.js",
			"assets/de-mtXZhYT-.js",
			"assets/download-qrOJwrrJ.js",
			"assets/draftLink-DSJvdlTO.js",
			"assets/ellipsis-vertical-Br_pK0n2.js",
			"assets/en-8z-xnYHb.js",
			"assets/en-BImwFuxO.js",
			"assets/encoder.worker-Bq0-6_QS.js",
			"assets/engine-DyhPnM7q.js",
			"assets/es-BMj_fhlU.js",
			"assets/es-C96QjH3x.js",
			"assets/exportSvg-gZvLFfuf.js",
			"assets/exporting-Dm1HBvbd.js",
			"assets/eye-off-z6aZN8p-.js",
			"assets/fr-B7AQLAsI.js",
			"assets/fr-B9HXqkXm.js",
			"assets/frames-COqyhj0j.js",
			"assets/graph-BqAvWiq9.js",
			"assets/graph-D4Cqm9Zo.css",
			"assets/grid-Bre8C10W.js",
			"assets/grid-DFbguMtU.js",
			"assets/icons-CAmd6XwK.js",
			"assets/importing-BCnWg91A.js",
			"assets/index-B1Lzbfr9.css",
			"assets/index-Cw9zwl27.js",
			"assets/install-owLn2WmC.js",
			"assets/ja-C9jnq-Um.js",
			"assets/ja-wgsREnFe.js",
			"assets/kit-C71rNCQa.css",
			"assets/kit-FKJ-3W9j.js",
			"assets/layerActions-UZFd78PS.js",
			"assets/lessons-CJ0H9SQh.js",
			"assets/modelOffers-4yoUUWg1.js",
			"assets/mp4-BseSsseR.js",
			"assets/own-OUDRM66a.js",
			"assets/palette-DgVzBRmH.js",
			"assets/pictures-qodGBxfh.js",
			"assets/playing-WZBvGoOV.js",
			"assets/presets-CysVVJ1j.js",
			"assets/resolve-lckSRvwq.js",
			"assets/rolldown-runtime-XKyaHtl9.js",
			"assets/runResults-Bz-7jAgy.js",
			"assets/saving-quUzqLg4.js",
			"assets/share-Btjrgcow.js",
			"assets/shared-Bc1SHRJs.css",
			"assets/shared-YyzsMuOb.js",
			"assets/start-CkR7s5tB.js",
			"assets/starting-D7-Ey21H.js",
			"assets/states-EHiWZj4z.js",
			"assets/taking-CNHmtg3o.js",
			"assets/typeTexts-BQiaRymV.js",
			"assets/useAnswer-CXaTKcfR.js",
			"assets/useConnection-BrEzyxhz.js",
			"assets/useFile-ClLcsiQV.js",
			"assets/useInfiniteQuery-AF1m4VdS.js",
			"assets/useZoom-BS06R8RX.js",
			"assets/useZoom-svovF6-A.css",
			"assets/values-CKObHyP8.js",
			"assets/values-cC2eVJzb.js",
			"assets/widgets-erajhg5l.js",
			"assets/zh-Hans-DYwZpYGL.js",
			"assets/zh-Hans-RV5hY-SW.js"
		]
	});
})();
